//! The processes of one home on this host: what should run, what does. The scripts in sbin/ call these verbs.

pub mod first_run;
pub mod plan;
pub mod prepare;
pub mod start;
pub mod status;
pub mod stop;
