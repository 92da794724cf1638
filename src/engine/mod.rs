//! Every rule of the scheduler, pure: commands in, events and effects out, time as an argument.
//!
//! No clock, I/O, randomness, hash-map iteration, floats or logging. Start reading at `command`, `event`, `effect`.
