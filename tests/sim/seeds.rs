//! Seeds that failed once, each with what it showed. They run first, with all checks after every step.

pub const NAMED: &[(u64, &str)] = &[
    (28, "an instance that a command merely set in motion had the command's request key"),
    (62, "a limit that an edit lowered was held against instances started before"),
    (85, "a node's timeout stopped an instance that was stopping already"),
    (122, "a dispatch decided for one session of a worker was sent on the next, after a boot"),
    (126, "the same, with both attempts alive at once"),
    (155, "a deleted instance was brought back from rows that the store had not dropped yet"),
];
