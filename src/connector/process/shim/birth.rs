//! A child that borrows the memory of its parent until it executes a program, born inside a cgroup.
//!
//! What `vfork` is, with a stack of the child's own: no page table is copied and no page twice, which for a small
//! process is most of the price of a `fork`. The parent stands still meanwhile, so the child may read what it has and
//! leave word in it. Moving a process into a cgroup later waits for every CPU; `clone3` lets it be born there, and
//! the C library has no function for that, hence the few lines of assembler: `clone3` comes back twice, the second time
//! on another stack, where there is nothing to return to. See clone(2) and clone3 in it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::sys;

/// `clone_args.flags`; libc's constant does not fit its own type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// The child makes a dozen calls; only what it touches is taken. Small enough to come from the heap: a mapping of its own
/// would be unmapped while the task starts, and both processors wait for one another then.
const STACK_BYTES: usize = 64 * 1024;

/// Aligned as a call wants it, and not written before the child does.
type Line = std::mem::MaybeUninit<u128>;

/// Where a child lives until it executes its program.
pub struct Stack(Box<[Line]>);

impl Stack {
    pub fn new() -> Self {
        Stack(Box::new_uninit_slice(STACK_BYTES / std::mem::size_of::<Line>()))
    }
}

/// Whether the child is where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Inside,
    /// It has to move itself into the cgroup.
    Outside,
}

/// What the child does. It must execute a program or come back with the word that it leaves; then it ends with 127.
pub trait Child {
    fn live(&self, place: Place) -> Word;
}

/// Where it went wrong, and `errno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub stage: u8,
    pub errno: i32,
}

/// The pid of a child that executes its program now, and its word if it came to nothing.
pub fn bear<C: Child>(child: &C, cgroup: Option<&File>, Stack(stack): &mut Stack) -> io::Result<(i32, Option<Word>)> {
    let mut life = Life { child, place: Place::Inside, word: None };
    if let Some(place) = cgroup
        && let Some(pid) = inside(&mut life, stack, place)
    {
        return Ok((pid, life.word));
    }
    // No cgroup, or a kernel or sandbox that does not have that flag.
    life.place = if cgroup.is_some() { Place::Outside } else { Place::Inside };
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: one thread, which stands still until the child is done with this memory; the stack is the child's alone.
    let pid = sys::check(unsafe { libc::clone(enter::<C>, top.cast(), flags, (&raw mut life).cast()) })?;
    Ok((pid, life.word))
}

struct Life<'a, C> {
    child: &'a C,
    place: Place,
    word: Option<Word>,
}

extern "C" fn enter<C: Child>(life: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `bear` passes its own, and waits.
    let life = unsafe { &mut *life.cast::<Life<'_, C>>() };
    life.word = Some(life.child.live(life.place));
    // SAFETY: nothing of the shim may run twice, so no destructor and no exit handler does.
    unsafe { libc::_exit(127) }
}

/// `None`: not possible here.
#[cfg(target_arch = "x86_64")]
fn inside<C: Child>(life: &mut Life<'_, C>, stack: &mut [Line], cgroup: &File) -> Option<i32> {
    // SAFETY: all zeroes is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP | (libc::CLONE_VM | libc::CLONE_VFORK) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = cgroup.as_raw_fd() as u64;
    args.stack = stack.as_mut_ptr() as u64;
    args.stack_size = std::mem::size_of_val(stack) as u64;
    let result: i64;
    // SAFETY: one thread, which stands still until the child executes or ends; the child has a stack of its own,
    // aligned as a call wants it, and `enter` never returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {life}",
            "call {enter}",
            "ud2",
            "2:",
            life = in(reg) &raw mut *life,
            enter = in(reg) enter::<C> as extern "C" fn(*mut libc::c_void) -> libc::c_int,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw const args,
            in("rsi") std::mem::size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    (result > 0).then_some(result as i32)
}

#[cfg(not(target_arch = "x86_64"))]
fn inside<C: Child>(_: &mut Life<'_, C>, _: &mut [Line], _: &File) -> Option<i32> {
    None
}
