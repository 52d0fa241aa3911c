/* The XDP program of an interface: see xdp_program.h. */

#include "xdp_program.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int
open_map(void)
{
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4,
        .max_entries = XDP_QUEUES, .map_name = "raicho_sockets",
    };

    return bpf(BPF_MAP_CREATE, &attr);
}

/* return bpf_redirect_map(&map, context->rx_queue_index, XDP_PASS); */
static int
open_program(int map)
{
    enum { R0, R1, R2, R3 };
    const struct bpf_insn insns[] = {
        {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = R2, .src_reg = R1,
         .off = offsetof(struct xdp_md, rx_queue_index)},
        {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = R1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
        {.code = 0},                    /* The map's second half. */
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = R3, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)insns,
        .insn_cnt = sizeof insns / sizeof insns[0], .license = (uintptr_t)"Apache-2.0",
        .prog_name = "raicho", .expected_attach_type = BPF_XDP,
    };

    return bpf(BPF_PROG_LOAD, &attr);
}

int
xdp_program_open(struct xdp_program *program)
{
    *program = (struct xdp_program){.map = open_map(), .program = -1, .link = -1};
    if (program->map >= 0) {
        program->program = open_program(program->map);
    }
    if (program->program < 0) {
        int error = errno;
        xdp_program_close(program);
        return error;
    }
    return 0;
}

int
xdp_program_attach(struct xdp_program *program, int index, bool generic)
{
    union bpf_attr attr = {.link_create = {
        .prog_fd = (uint32_t)program->program, .target_ifindex = (uint32_t)index,
        .attach_type = BPF_XDP, .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
    }};

    if (program->link >= 0 && program->generic == generic) {
        return 0;
    }
    xdp_program_detach(program);
    program->link = bpf(BPF_LINK_CREATE, &attr);
    program->generic = generic;
    return program->link < 0 ? errno : 0;
}

/* Closing the link takes the program off a little later; detaching it does so now. */
void
xdp_program_detach(struct xdp_program *program)
{
    union bpf_attr attr = {.link_detach = {.link_fd = (uint32_t)program->link}};

    if (program->link >= 0) {
        bpf(BPF_LINK_DETACH, &attr);
        close(program->link);
        program->link = -1;
    }
}

int
xdp_program_set(const struct xdp_program *program, uint32_t queue, int socket)
{
    union bpf_attr attr = {
        .map_fd = (uint32_t)program->map, .key = (uintptr_t)&queue, .value = (uintptr_t)&socket,
    };

    return bpf(BPF_MAP_UPDATE_ELEM, &attr) ? errno : 0;
}

void
xdp_program_unset(const struct xdp_program *program, uint32_t queue)
{
    union bpf_attr attr = {.map_fd = (uint32_t)program->map, .key = (uintptr_t)&queue};

    bpf(BPF_MAP_DELETE_ELEM, &attr);
}

void
xdp_program_close(struct xdp_program *program)
{
    xdp_program_detach(program);
    if (program->program >= 0) {
        close(program->program);
    }
    if (program->map >= 0) {
        close(program->map);
    }
    *program = (struct xdp_program){.map = -1, .program = -1, .link = -1};
}
