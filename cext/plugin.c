/* Plug-ins: see plugin.h. */

#include "plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane.h"

enum { INSTRUCTIONS_MAX = 64, NAME_MAX_LEN = 31 };

/* What is being checked, and where to say what is wrong. */
struct examination {
    const struct dataplane *dataplane;
    char *why;
    size_t size;
};

static bool __attribute__((format(printf, 2, 3)))
refuse(const struct examination *about, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(about->why, about->size, format, args);
    va_end(args);
    return false;
}

/* --- The file ------------------------------------------------------------------------------------ */

static bool
is_trusted(const struct examination *about, int fd)
{
    struct stat stat;

    if (fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
        return refuse(about, "not a file");
    }
    if (stat.st_uid && stat.st_uid != geteuid()) {
        return refuse(about, "user %u owns it: only root's files are loaded, and those of user %u",
                      (unsigned) stat.st_uid, (unsigned) geteuid());
    }
    if (stat.st_mode & (S_IWGRP | S_IWOTH)) {
        return refuse(about, "others may write to it (mode %04o): take that from them with chmod go-w",
                      (unsigned) stat.st_mode & 07777);
    }
    return true;
}

/* Loads the very file that was looked at, whatever its name leads to by now. */
static bool
load(const struct examination *about, const char *path, struct plugin *plugin)
{
    char by_fd[32];

    plugin->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (plugin->fd < 0) {
        return refuse(about, "%s", strerror(errno));
    }
    if (!is_trusted(about, plugin->fd)) {
        return false;
    }
    snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", plugin->fd);
    plugin->handle = dlopen(by_fd, RTLD_NOW | RTLD_LOCAL);
    return plugin->handle || refuse(about, "no shared object that can be loaded: %s", dlerror());
}

/* --- What is in it -------------------------------------------------------------------------------- */

static bool
is_fine(const struct examination *about, const struct raicho_instruction *each)
{
    size_t name = each->name ? strnlen(each->name, NAME_MAX_LEN + 1) : 0;

    if (!name || name > NAME_MAX_LEN) {
        return refuse(about, "an instruction whose name has no byte, or over %d", NAME_MAX_LEN);
    }
    if (each->subtype < RAICHO_SUBTYPES) {
        return refuse(about, "%s has subtype %#x: those of plug-ins begin at %#x", each->name,
                      each->subtype, RAICHO_SUBTYPES);
    }
    if (each->args_size > RAICHO_ARGS_MAX) {
        return refuse(about, "%s has %u bytes of arguments, over %d", each->name, each->args_size,
                      RAICHO_ARGS_MAX);
    }
    if (!each->run) {
        return refuse(about, "%s has no function", each->name);
    }
    const struct raicho_instruction *other = plugin_find(about->dataplane, each->subtype);
    return !other || refuse(about, "%s has subtype %#x, which %s has already: what is loaded stays until "
                            "the dataplane is started again", each->name, each->subtype, other->name);
}

static bool
is_unique(const struct raicho_plugin *plugin, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (plugin->instructions[j].subtype == plugin->instructions[i].subtype) {
            return false;
        }
    }
    return true;
}

static bool
examine(const struct examination *about, struct plugin *opened)
{
    const struct raicho_plugin *plugin = opened->symbol = dlsym(opened->handle, "raicho_plugin");

    if (!plugin) {
        return refuse(about, "it has no symbol raicho_plugin");
    }
    if (plugin->abi != RAICHO_PLUGIN_ABI) {
        return refuse(about, "made for version %u of instructions, this is version %d: it is to be compiled anew",
                      plugin->abi, RAICHO_PLUGIN_ABI);
    }
    if (!plugin->n || plugin->n > INSTRUCTIONS_MAX || !plugin->instructions) {
        return refuse(about, "%u instructions: there are 1 to %d", plugin->n, INSTRUCTIONS_MAX);
    }
    for (uint32_t i = 0; i < plugin->n; i++) {
        if (!is_fine(about, &plugin->instructions[i])) {
            return false;
        }
        if (!is_unique(plugin, i)) {
            return refuse(about, "two instructions have subtype %#x", plugin->instructions[i].subtype);
        }
    }
    return true;
}

struct plugin *
plugin_open(const struct dataplane *dataplane, const char *path, char *why, size_t size)
{
    const struct examination about = { dataplane, why, size };
    struct plugin *plugin = calloc(1, sizeof *plugin);

    if (!plugin) {
        refuse(&about, "%s", strerror(ENOMEM));
        return NULL;
    }
    if (!load(&about, path, plugin) || !examine(&about, plugin)) {
        plugin_close(plugin);
        return NULL;
    }
    return plugin;
}

void
plugin_close(struct plugin *plugin)
{
    if (plugin->handle) {
        dlclose(plugin->handle);
    }
    if (plugin->fd >= 0) {
        close(plugin->fd);
    }
    free(plugin);
}

/* --- Those that are there --------------------------------------------------------------------------- */

void
plugin_take(struct dataplane *dataplane, struct plugin *plugin)
{
    plugin->next = dataplane->plugins;
    dataplane->plugins = plugin;
}

void
plugins_close(struct dataplane *dataplane)
{
    while (dataplane->plugins) {
        struct plugin *plugin = dataplane->plugins;
        dataplane->plugins = plugin->next;
        plugin_close(plugin);
    }
}

const struct raicho_instruction *
plugin_find(const struct dataplane *dataplane, uint16_t subtype)
{
    for (const struct plugin *plugin = dataplane->plugins; plugin; plugin = plugin->next) {
        for (uint32_t i = 0; i < plugin->symbol->n; i++) {
            if (plugin->symbol->instructions[i].subtype == subtype) {
                return &plugin->symbol->instructions[i];
            }
        }
    }
    return NULL;
}
