//! What goes wrong, and how it is put right again.

use nix::sys::signal::Signal;

use crate::rig::{HOSTS, Rig};

/// Which way nothing gets through, seen from the victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Both,
    Out,
    In,
}

impl Way {
    pub const ALL: [Way; 3] = [Way::Both, Way::Out, Way::In];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of daemon and supervisor.
    Kill,
    /// SIGKILL of the daemon alone: its supervisor starts it again.
    Crash,
    /// SIGSTOP.
    Stop,
    /// From all other hosts.
    CutOff(Way),
    /// From one other host.
    CutFrom(String, Way),
    /// The lead is handed over on request.
    SwitchOver,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Kill => f.write_str("killed"),
            Fault::Crash => f.write_str("killed, its supervisor lives"),
            Fault::Stop => f.write_str("stopped"),
            Fault::CutOff(Way::Both) => f.write_str("cut off both ways"),
            Fault::CutOff(Way::Out) => f.write_str("cut off, what it sends is lost"),
            Fault::CutOff(Way::In) => f.write_str("cut off, what it should get is lost"),
            Fault::CutFrom(host, way) => write!(f, "cut off from {host} ({way:?})"),
            Fault::SwitchOver => f.write_str("asked to hand over"),
        }
    }
}

impl Fault {
    pub fn strike(&self, rig: &mut Rig, victim: &str) -> Result<(), String> {
        if matches!(self, Fault::Kill | Fault::Crash | Fault::Stop) {
            // It may still be coming back from the last one.
            rig.await_some(&format!("{victim} to run"), |rig| rig.runs(victim).then_some(()))?;
        }
        match self {
            Fault::Kill => rig.kill_for_good(victim),
            Fault::Crash => rig.signal(victim, Signal::SIGKILL),
            Fault::Stop => rig.signal(victim, Signal::SIGSTOP),
            Fault::CutOff(way) => {
                HOSTS.iter().filter(|host| **host != victim).try_for_each(|host| cut(rig, victim, host, *way))
            }
            Fault::CutFrom(host, way) => cut(rig, victim, host, *way),
            // Refused or unknown, as any request may be; the round looks who leads.
            Fault::SwitchOver => {
                if let Err(why) = rig.post("/api/v1/cluster:switch-over", "{}") {
                    eprintln!("{why}");
                }
                Ok(())
            }
        }
    }

    pub fn heal(&self, rig: &mut Rig, victim: &str) -> Result<(), String> {
        match self {
            Fault::Kill => rig.start(victim),
            Fault::Stop => rig.signal(victim, Signal::SIGCONT),
            Fault::CutOff(_) => {
                HOSTS.iter().filter(|host| **host != victim).try_for_each(|host| mend(rig, victim, host))
            }
            Fault::CutFrom(host, _) => mend(rig, victim, host),
            Fault::Crash | Fault::SwitchOver => Ok(()),
        }
    }
}

fn cut(rig: &Rig, victim: &str, host: &str, way: Way) -> Result<(), String> {
    if way != Way::In {
        rig.net.cut(victim, host)?;
    }
    if way != Way::Out {
        rig.net.cut(host, victim)?;
    }
    Ok(())
}

fn mend(rig: &Rig, victim: &str, host: &str) -> Result<(), String> {
    rig.net.mend(victim, host)?;
    rig.net.mend(host, victim)
}
