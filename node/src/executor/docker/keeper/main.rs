//! The first process of a job's container: it runs the job's program, says how that ended, and stays.
//!
//! The output directory is a file system in memory, which is gone with the container's last process. So the container must
//! outlive the program until its output was collected, however long the node is away. `scripts/compile-keeper` builds this for
//! each processor family, without any library; docs/docker.md says what a job sees of it.
//!
//! Arguments: the marker, the number of paths, the paths to try in turn, then the program's `argv`. When the program has
//! ended, all other processes are killed, and one line goes to both streams: the marker, how it ended (`x` and the exit code, `s` and
//! the signal, or `e` and the error number with which it could not be run), the microseconds of processor time that it took, and
//! how many processes the kernel killed for want of memory.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

#[cfg(target_arch = "x86_64")]
mod arch {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const EXIT: usize = 60;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const GETRUSAGE: usize = 98;
    pub const PPOLL: usize = 271;
    pub const PIPE2: usize = 293;
    pub const OPENAT: usize = 257;
    pub const PRCTL: usize = 157;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const CLOSE: usize = 57;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const EXIT: usize = 93;
    pub const WAIT4: usize = 260;
    pub const KILL: usize = 129;
    pub const GETRUSAGE: usize = 165;
    pub const PPOLL: usize = 73;
    pub const PIPE2: usize = 59;
    pub const OPENAT: usize = 56;
    pub const PRCTL: usize = 167;
}

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {main}", "brk #1", main = sym main);

const EINTR: isize = -4;
const EAGAIN: isize = -11;
const ENOENT: isize = -2;
const ENOTDIR: isize = -20;
const SIGCHLD: usize = 17;
const SIGKILL: usize = 9;
const O_CLOEXEC: usize = 0o2_000_000;
const PR_SET_DUMPABLE: usize = 4;
const AT_FDCWD: usize = -100_isize as usize;
/// Where the kernel counts, in control groups of version 2 and 1; each ends with 0.
const COUNTS: [&[u8]; 2] = [b"/sys/fs/cgroup/memory.events\0", b"/sys/fs/cgroup/memory/memory.oom_control\0"];
const OOM_KILLS: &[u8] = b"oom_kill ";
const RUSAGE_CHILDREN: usize = usize::MAX;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(125)
}

/// SAFETY: the arguments are what the system call asks for.
unsafe fn call(number: usize, arguments: [usize; 5]) -> isize {
    let [a, b, c, d, e] = arguments;
    let answer: isize;
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a => answer, in("x1") b, in("x2") c, in("x3") d, in("x4") e);
    }
    answer
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: it takes a number.
        unsafe { call(arch::EXIT, [code, 0, 0, 0, 0]) };
    }
}

/// Waits for so many nanoseconds, or for ever.
fn sleep(nanoseconds: Option<usize>) {
    let time = [0_usize, nanoseconds.unwrap_or(0)];
    let time = if nanoseconds.is_some() { time.as_ptr() as usize } else { 0 };
    // SAFETY: no descriptors; the time, if any, is on the stack.
    unsafe { call(arch::PPOLL, [0, 0, time, 0, 0]) };
}

unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel's layout: the number of arguments, the arguments, 0, the environment, 0.
    let (argc, argv) = unsafe { (*stack, stack.add(1)) };
    if argc < 5 {
        exit(125);
    }
    // SAFETY: `argc` arguments and a 0 are there.
    let (marker, count, environment) =
        unsafe { (*argv.add(1) as *const u8, number(*argv.add(2) as *const u8), argv.add(argc + 1)) };
    if count + 3 >= argc {
        exit(125);
    }
    // The program has the same user, and must not get hold of this process: a container that ends without a word is taken for a failure
    // of the provider's. (Signals from inside do not reach the first process.)
    // SAFETY: it takes numbers.
    unsafe { call(arch::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0]) };
    let mut pipe = [0_i32; 2];
    // SAFETY: room for two descriptors.
    if unsafe { call(arch::PIPE2, [pipe.as_mut_ptr() as usize, O_CLOEXEC, 0, 0, 0]) } < 0 {
        exit(125);
    }
    let [reads, writes] = pipe.map(|descriptor| descriptor as usize);
    // SAFETY: a copy of this process.
    let child = unsafe { call(arch::CLONE, [SIGCHLD, 0, 0, 0, 0]) };
    if child == 0 {
        let mut worst = ENOENT;
        for path in 0..count {
            // SAFETY: the program's arguments follow the paths.
            let error = unsafe {
                call(arch::EXECVE, [*argv.add(3 + path), argv.add(3 + count) as usize, environment as usize, 0, 0])
            };
            if error != ENOENT && error != ENOTDIR {
                worst = error;
            }
        }
        let error = [worst.unsigned_abs() as u8];
        // SAFETY: one byte.
        unsafe { call(arch::WRITE, [writes, error.as_ptr() as usize, 1, 0, 0]) };
        exit(127);
    }
    // SAFETY: a descriptor of this process.
    unsafe { call(arch::CLOSE, [writes, 0, 0, 0, 0]) };
    let mut failed = [0_u8];
    let read = loop {
        // SAFETY: room for one byte. The end comes when the program runs.
        match unsafe { call(arch::READ, [reads, failed.as_mut_ptr() as usize, 1, 0, 0]) } {
            EINTR => {}
            read => break read,
        }
    };
    let mut status = 0_i32;
    if child > 0 {
        while wait(&mut status) != child {}
        // SAFETY: all but this one: nobody prints or writes any more.
        unsafe { call(arch::KILL, [usize::MAX, SIGKILL, 0, 0, 0]) };
        let mut last = 0;
        while wait(&mut last) > 0 {}
    } else {
        failed = [child.unsigned_abs() as u8];
    }
    let (how, what) = match status {
        _ if child < 0 || read == 1 => (b'e', usize::from(failed[0])),
        status if status & 0x7f == 0 => (b'x', (status >> 8) as usize & 0xff),
        status => (b's', status as usize & 0x7f),
    };
    let mut usage = [0_usize; 18];
    // SAFETY: room for a rusage, of which the first four numbers are times: seconds and microseconds, user and system.
    unsafe { call(arch::GETRUSAGE, [RUSAGE_CHILDREN, usage.as_mut_ptr() as usize, 0, 0, 0]) };
    let time = (usage[0] + usage[2]) * 1_000_000 + usage[1] + usage[3];
    let killed = oom_kills();
    for stream in [1, 2] {
        say(stream, marker);
        let mut line = [0_u8; 80];
        let mut length = 0;
        for part in [(b' ', how, what), (b' ', 0, time), (b' ', 0, killed)] {
            let (space, letter, number) = part;
            for byte in [space, letter] {
                if byte != 0 {
                    line[length] = byte;
                    length += 1;
                }
            }
            length += digits(number, &mut line[length..]);
        }
        line[length] = b'\n';
        write(stream, line.as_ptr(), length + 1);
    }
    loop {
        sleep(None);
    }
}

/// Processes of this container that were killed for want of memory, as far as can be seen here.
fn oom_kills() -> usize {
    let mut text = [0_u8; 1024];
    for path in COUNTS {
        // SAFETY: the path ends with 0; the flags are 0: for reading.
        let file = unsafe { call(arch::OPENAT, [AT_FDCWD, path.as_ptr() as usize, O_CLOEXEC, 0, 0]) };
        if file < 0 {
            continue;
        }
        // SAFETY: room for all but the last byte, which stays 0.
        let length = unsafe { call(arch::READ, [file as usize, text.as_mut_ptr() as usize, text.len() - 1, 0, 0]) };
        let read = &text[..length.max(0) as usize];
        for start in 0..read.len().saturating_sub(OOM_KILLS.len()) {
            if read[start..].starts_with(OOM_KILLS) && (start == 0 || read[start - 1] == b'\n') {
                return number(text[start + OOM_KILLS.len()..].as_ptr());
            }
        }
    }
    0
}

fn wait(status: &mut i32) -> isize {
    loop {
        // SAFETY: room for a status.
        match unsafe { call(arch::WAIT4, [usize::MAX, core::ptr::from_mut(status) as usize, 0, 0, 0]) } {
            EINTR => {}
            child => return child,
        }
    }
}

fn number(mut text: *const u8) -> usize {
    let mut number = 0_usize;
    // SAFETY: it ends with 0.
    while let digit @ b'0'..=b'9' = unsafe { *text } {
        number = number.wrapping_mul(10).wrapping_add(usize::from(digit - b'0'));
        text = unsafe { text.add(1) };
    }
    number
}

fn digits(mut number: usize, to: &mut [u8]) -> usize {
    let mut reversed = [0_u8; 20];
    let mut length = 0;
    loop {
        reversed[length] = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    for place in 0..length {
        to[place] = reversed[length - 1 - place];
    }
    length
}

fn say(stream: usize, text: *const u8) {
    let mut length = 0;
    // SAFETY: it ends with 0.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    write(stream, text, length);
}

fn write(stream: usize, text: *const u8, length: usize) {
    let mut done = 0;
    while done < length {
        // SAFETY: what is left of the text.
        match unsafe { call(arch::WRITE, [stream, text.wrapping_add(done) as usize, length - done, 0, 0]) } {
            // The program may have made the pipe one that does not wait.
            EAGAIN => sleep(Some(1_000_000)),
            EINTR => {}
            written if written > 0 => done += written as usize,
            _ => return,
        }
    }
}

/// What the compiler calls by itself.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for place in 0..length {
        unsafe { to.add(place).write_volatile(byte as u8) };
    }
    to
}

/// What the compiler calls by itself.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for place in 0..length {
        unsafe { to.add(place).write_volatile(from.add(place).read_volatile()) };
    }
    to
}
