#ifndef RAICHO_OFWIRE_ERRORS_H
#define RAICHO_OFWIRE_ERRORS_H

/* The errors that a switch may answer with: X(type, code, name).
 *
 * Names and numbers are the specification's.  OFPBIC_DUP_INST, for which version 1.3
 * has no number, has the one that version 1.4 gave it.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, section 7.4.4. */

#define OFP_ERROR_TYPES(X)              \
    X( 0, OFPET_HELLO_FAILED)           \
    X( 1, OFPET_BAD_REQUEST)            \
    X( 2, OFPET_BAD_ACTION)             \
    X( 3, OFPET_BAD_INSTRUCTION)        \
    X( 4, OFPET_BAD_MATCH)              \
    X( 5, OFPET_FLOW_MOD_FAILED)        \
    X( 6, OFPET_GROUP_MOD_FAILED)       \
    X( 7, OFPET_PORT_MOD_FAILED)        \
    X( 8, OFPET_TABLE_MOD_FAILED)       \
    X( 9, OFPET_QUEUE_OP_FAILED)        \
    X(10, OFPET_SWITCH_CONFIG_FAILED)   \
    X(11, OFPET_ROLE_REQUEST_FAILED)    \
    X(12, OFPET_METER_MOD_FAILED)       \
    X(13, OFPET_TABLE_FEATURES_FAILED)

#define OFP_ERRORS(X)                                                       \
    X(OFPET_HELLO_FAILED,           0, OFPHFC_INCOMPATIBLE)                 \
    X(OFPET_HELLO_FAILED,           1, OFPHFC_EPERM)                        \
    X(OFPET_BAD_REQUEST,            0, OFPBRC_BAD_VERSION)                  \
    X(OFPET_BAD_REQUEST,            1, OFPBRC_BAD_TYPE)                     \
    X(OFPET_BAD_REQUEST,            2, OFPBRC_BAD_MULTIPART)                \
    X(OFPET_BAD_REQUEST,            3, OFPBRC_BAD_EXPERIMENTER)             \
    X(OFPET_BAD_REQUEST,            4, OFPBRC_BAD_EXP_TYPE)                 \
    X(OFPET_BAD_REQUEST,            5, OFPBRC_EPERM)                        \
    X(OFPET_BAD_REQUEST,            6, OFPBRC_BAD_LEN)                      \
    X(OFPET_BAD_REQUEST,            7, OFPBRC_BUFFER_EMPTY)                 \
    X(OFPET_BAD_REQUEST,            8, OFPBRC_BUFFER_UNKNOWN)               \
    X(OFPET_BAD_REQUEST,            9, OFPBRC_BAD_TABLE_ID)                 \
    X(OFPET_BAD_REQUEST,           10, OFPBRC_IS_SLAVE)                     \
    X(OFPET_BAD_REQUEST,           11, OFPBRC_BAD_PORT)                     \
    X(OFPET_BAD_REQUEST,           12, OFPBRC_BAD_PACKET)                   \
    X(OFPET_BAD_REQUEST,           13, OFPBRC_MULTIPART_BUFFER_OVERFLOW)    \
    X(OFPET_BAD_ACTION,             0, OFPBAC_BAD_TYPE)                     \
    X(OFPET_BAD_ACTION,             1, OFPBAC_BAD_LEN)                      \
    X(OFPET_BAD_ACTION,             2, OFPBAC_BAD_EXPERIMENTER)             \
    X(OFPET_BAD_ACTION,             3, OFPBAC_BAD_EXP_TYPE)                 \
    X(OFPET_BAD_ACTION,             4, OFPBAC_BAD_OUT_PORT)                 \
    X(OFPET_BAD_ACTION,             5, OFPBAC_BAD_ARGUMENT)                 \
    X(OFPET_BAD_ACTION,             6, OFPBAC_EPERM)                        \
    X(OFPET_BAD_ACTION,             7, OFPBAC_TOO_MANY)                     \
    X(OFPET_BAD_ACTION,             8, OFPBAC_BAD_QUEUE)                    \
    X(OFPET_BAD_ACTION,             9, OFPBAC_BAD_OUT_GROUP)                \
    X(OFPET_BAD_ACTION,            10, OFPBAC_MATCH_INCONSISTENT)           \
    X(OFPET_BAD_ACTION,            11, OFPBAC_UNSUPPORTED_ORDER)            \
    X(OFPET_BAD_ACTION,            12, OFPBAC_BAD_TAG)                      \
    X(OFPET_BAD_ACTION,            13, OFPBAC_BAD_SET_TYPE)                 \
    X(OFPET_BAD_ACTION,            14, OFPBAC_BAD_SET_LEN)                  \
    X(OFPET_BAD_ACTION,            15, OFPBAC_BAD_SET_ARGUMENT)             \
    X(OFPET_BAD_INSTRUCTION,        0, OFPBIC_UNKNOWN_INST)                 \
    X(OFPET_BAD_INSTRUCTION,        1, OFPBIC_UNSUP_INST)                   \
    X(OFPET_BAD_INSTRUCTION,        2, OFPBIC_BAD_TABLE_ID)                 \
    X(OFPET_BAD_INSTRUCTION,        3, OFPBIC_UNSUP_METADATA)               \
    X(OFPET_BAD_INSTRUCTION,        4, OFPBIC_UNSUP_METADATA_MASK)          \
    X(OFPET_BAD_INSTRUCTION,        5, OFPBIC_BAD_EXPERIMENTER)             \
    X(OFPET_BAD_INSTRUCTION,        6, OFPBIC_BAD_EXP_TYPE)                 \
    X(OFPET_BAD_INSTRUCTION,        7, OFPBIC_BAD_LEN)                      \
    X(OFPET_BAD_INSTRUCTION,        8, OFPBIC_EPERM)                        \
    X(OFPET_BAD_INSTRUCTION,        9, OFPBIC_DUP_INST)                     \
    X(OFPET_BAD_MATCH,              0, OFPBMC_BAD_TYPE)                     \
    X(OFPET_BAD_MATCH,              1, OFPBMC_BAD_LEN)                      \
    X(OFPET_BAD_MATCH,              2, OFPBMC_BAD_TAG)                      \
    X(OFPET_BAD_MATCH,              3, OFPBMC_BAD_DL_ADDR_MASK)             \
    X(OFPET_BAD_MATCH,              4, OFPBMC_BAD_NW_ADDR_MASK)             \
    X(OFPET_BAD_MATCH,              5, OFPBMC_BAD_WILDCARDS)                \
    X(OFPET_BAD_MATCH,              6, OFPBMC_BAD_FIELD)                    \
    X(OFPET_BAD_MATCH,              7, OFPBMC_BAD_VALUE)                    \
    X(OFPET_BAD_MATCH,              8, OFPBMC_BAD_MASK)                     \
    X(OFPET_BAD_MATCH,              9, OFPBMC_BAD_PREREQ)                   \
    X(OFPET_BAD_MATCH,             10, OFPBMC_DUP_FIELD)                    \
    X(OFPET_BAD_MATCH,             11, OFPBMC_EPERM)                        \
    X(OFPET_FLOW_MOD_FAILED,        0, OFPFMFC_UNKNOWN)                     \
    X(OFPET_FLOW_MOD_FAILED,        1, OFPFMFC_TABLE_FULL)                  \
    X(OFPET_FLOW_MOD_FAILED,        2, OFPFMFC_BAD_TABLE_ID)                \
    X(OFPET_FLOW_MOD_FAILED,        3, OFPFMFC_OVERLAP)                     \
    X(OFPET_FLOW_MOD_FAILED,        4, OFPFMFC_EPERM)                       \
    X(OFPET_FLOW_MOD_FAILED,        5, OFPFMFC_BAD_TIMEOUT)                 \
    X(OFPET_FLOW_MOD_FAILED,        6, OFPFMFC_BAD_COMMAND)                 \
    X(OFPET_FLOW_MOD_FAILED,        7, OFPFMFC_BAD_FLAGS)                   \
    X(OFPET_GROUP_MOD_FAILED,       0, OFPGMFC_GROUP_EXISTS)                \
    X(OFPET_GROUP_MOD_FAILED,       1, OFPGMFC_INVALID_GROUP)               \
    X(OFPET_GROUP_MOD_FAILED,       2, OFPGMFC_WEIGHT_UNSUPPORTED)          \
    X(OFPET_GROUP_MOD_FAILED,       3, OFPGMFC_OUT_OF_GROUPS)               \
    X(OFPET_GROUP_MOD_FAILED,       4, OFPGMFC_OUT_OF_BUCKETS)              \
    X(OFPET_GROUP_MOD_FAILED,       5, OFPGMFC_CHAINING_UNSUPPORTED)        \
    X(OFPET_GROUP_MOD_FAILED,       6, OFPGMFC_WATCH_UNSUPPORTED)           \
    X(OFPET_GROUP_MOD_FAILED,       7, OFPGMFC_LOOP)                        \
    X(OFPET_GROUP_MOD_FAILED,       8, OFPGMFC_UNKNOWN_GROUP)               \
    X(OFPET_GROUP_MOD_FAILED,       9, OFPGMFC_CHAINED_GROUP)               \
    X(OFPET_GROUP_MOD_FAILED,      10, OFPGMFC_BAD_TYPE)                    \
    X(OFPET_GROUP_MOD_FAILED,      11, OFPGMFC_BAD_COMMAND)                 \
    X(OFPET_GROUP_MOD_FAILED,      12, OFPGMFC_BAD_BUCKET)                  \
    X(OFPET_GROUP_MOD_FAILED,      13, OFPGMFC_BAD_WATCH)                   \
    X(OFPET_GROUP_MOD_FAILED,      14, OFPGMFC_EPERM)                       \
    X(OFPET_PORT_MOD_FAILED,        0, OFPPMFC_BAD_PORT)                    \
    X(OFPET_PORT_MOD_FAILED,        1, OFPPMFC_BAD_HW_ADDR)                 \
    X(OFPET_PORT_MOD_FAILED,        2, OFPPMFC_BAD_CONFIG)                  \
    X(OFPET_PORT_MOD_FAILED,        3, OFPPMFC_BAD_ADVERTISE)               \
    X(OFPET_PORT_MOD_FAILED,        4, OFPPMFC_EPERM)                       \
    X(OFPET_TABLE_MOD_FAILED,       0, OFPTMFC_BAD_TABLE)                   \
    X(OFPET_TABLE_MOD_FAILED,       1, OFPTMFC_BAD_CONFIG)                  \
    X(OFPET_TABLE_MOD_FAILED,       2, OFPTMFC_EPERM)                       \
    X(OFPET_QUEUE_OP_FAILED,        0, OFPQOFC_BAD_PORT)                    \
    X(OFPET_QUEUE_OP_FAILED,        1, OFPQOFC_BAD_QUEUE)                   \
    X(OFPET_QUEUE_OP_FAILED,        2, OFPQOFC_EPERM)                       \
    X(OFPET_SWITCH_CONFIG_FAILED,   0, OFPSCFC_BAD_FLAGS)                   \
    X(OFPET_SWITCH_CONFIG_FAILED,   1, OFPSCFC_BAD_LEN)                     \
    X(OFPET_SWITCH_CONFIG_FAILED,   2, OFPSCFC_EPERM)                       \
    X(OFPET_ROLE_REQUEST_FAILED,    0, OFPRRFC_STALE)                       \
    X(OFPET_ROLE_REQUEST_FAILED,    1, OFPRRFC_UNSUP)                       \
    X(OFPET_ROLE_REQUEST_FAILED,    2, OFPRRFC_BAD_ROLE)                    \
    X(OFPET_METER_MOD_FAILED,       0, OFPMMFC_UNKNOWN)                     \
    X(OFPET_METER_MOD_FAILED,       1, OFPMMFC_METER_EXISTS)                \
    X(OFPET_METER_MOD_FAILED,       2, OFPMMFC_INVALID_METER)               \
    X(OFPET_METER_MOD_FAILED,       3, OFPMMFC_UNKNOWN_METER)               \
    X(OFPET_METER_MOD_FAILED,       4, OFPMMFC_BAD_COMMAND)                 \
    X(OFPET_METER_MOD_FAILED,       5, OFPMMFC_BAD_FLAGS)                   \
    X(OFPET_METER_MOD_FAILED,       6, OFPMMFC_BAD_RATE)                    \
    X(OFPET_METER_MOD_FAILED,       7, OFPMMFC_BAD_BURST)                   \
    X(OFPET_METER_MOD_FAILED,       8, OFPMMFC_BAD_BAND)                    \
    X(OFPET_METER_MOD_FAILED,       9, OFPMMFC_BAD_BAND_VALUE)              \
    X(OFPET_METER_MOD_FAILED,      10, OFPMMFC_OUT_OF_METERS)               \
    X(OFPET_METER_MOD_FAILED,      11, OFPMMFC_OUT_OF_BANDS)                \
    X(OFPET_TABLE_FEATURES_FAILED,  0, OFPTFFC_BAD_TABLE)                   \
    X(OFPET_TABLE_FEATURES_FAILED,  1, OFPTFFC_BAD_METADATA)                \
    X(OFPET_TABLE_FEATURES_FAILED,  2, OFPTFFC_BAD_TYPE)                    \
    X(OFPET_TABLE_FEATURES_FAILED,  3, OFPTFFC_BAD_LEN)                     \
    X(OFPET_TABLE_FEATURES_FAILED,  4, OFPTFFC_BAD_ARGUMENT)                \
    X(OFPET_TABLE_FEATURES_FAILED,  5, OFPTFFC_EPERM)

enum ofp_error_type {
#define X(TYPE, NAME) NAME = TYPE,
    OFP_ERROR_TYPES(X)
#undef X
};

enum ofp_error_code {
#define X(TYPE, CODE, NAME) NAME = CODE,
    OFP_ERRORS(X)
#undef X
};

#endif
