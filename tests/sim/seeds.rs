//! Seeds that show a fault when the rule against it is taken out, each with that fault. They run first, with all
//! checks after every step.

pub const NAMED: &[(u64, &str)] = &[
    (122, "a dispatch decided for one session of a worker is sent on the next, after a boot"),
    (85, "the result of an earlier attempt ends the one that took its place"),
    (69, "a new boot of a machine does not prove its attempts dead"),
    (28, "an entry of the log is applied twice"),
];
