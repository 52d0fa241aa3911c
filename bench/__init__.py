"""One file for each number that people care about; `python -m bench` lists them."""
