//! Connects the host calls to the engine.
//!
//! wiggle generates the trait and takes arguments apart; what it generates to fill a linker cannot be used, since it
//! gives an implementation no way to charge fuel to the store. This is the same with that one thing added.

use super::preview1::wasi_snapshot_preview1 as abi;
use wasmtime::{Caller, Extern, Linker};
use wiggle::GuestMemory;

use super::fuel::HOST_CALL;
use super::host::Host;
use super::stop::Stop;

/// The import module that programs know these functions by.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// Runs one host call: takes the store's fuel, charges for the call, and gives back what is left.
fn call<R>(
    caller: &mut Caller<'_, Host>,
    body: impl FnOnce(&mut Host, &mut GuestMemory<'_>) -> wasmtime::Result<R>,
) -> wasmtime::Result<R> {
    let remaining = caller.get_fuel()?;
    caller.data_mut().meter.resume(remaining);
    let memory = match caller.data().memory {
        Some(memory) => memory,
        // A module's start function runs before anyone could look the memory up.
        None => match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => memory,
            _ => return Err(Stop::BadCall("a host call from a module without memory").into()),
        },
    };
    let (bytes, host) = memory.data_and_store_mut(&mut *caller);
    let result = match host.meter.charge(HOST_CALL) {
        Ok(()) => body(host, &mut GuestMemory::Unshared(bytes)),
        Err(stop) => Err(stop.into()),
    };
    let remaining = host.meter.remaining();
    caller.set_fuel(remaining)?;
    result
}

macro_rules! host_calls {
    ($( $name:ident($($arg:ident: $type:ty),*) -> $result:ty; )*) => {
        /// The names of all functions there are.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Adds all functions.
        pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    |mut caller: Caller<'_, Host>, $($arg: $type),*| -> wasmtime::Result<$result> {
                        call(&mut caller, |host, memory| abi::$name(host, memory, $($arg),*))
                    },
                )?;
            )*
            Ok(())
        }
    };
}

host_calls! {
    args_get(a: i32, b: i32) -> i32;
    args_sizes_get(a: i32, b: i32) -> i32;
    environ_get(a: i32, b: i32) -> i32;
    environ_sizes_get(a: i32, b: i32) -> i32;
    clock_res_get(a: i32, b: i32) -> i32;
    clock_time_get(a: i32, b: i64, c: i32) -> i32;
    fd_advise(a: i32, b: i64, c: i64, d: i32) -> i32;
    fd_allocate(a: i32, b: i64, c: i64) -> i32;
    fd_close(a: i32) -> i32;
    fd_datasync(a: i32) -> i32;
    fd_fdstat_get(a: i32, b: i32) -> i32;
    fd_fdstat_set_flags(a: i32, b: i32) -> i32;
    fd_fdstat_set_rights(a: i32, b: i64, c: i64) -> i32;
    fd_filestat_get(a: i32, b: i32) -> i32;
    fd_filestat_set_size(a: i32, b: i64) -> i32;
    fd_filestat_set_times(a: i32, b: i64, c: i64, d: i32) -> i32;
    fd_pread(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    fd_prestat_get(a: i32, b: i32) -> i32;
    fd_prestat_dir_name(a: i32, b: i32, c: i32) -> i32;
    fd_pwrite(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    fd_read(a: i32, b: i32, c: i32, d: i32) -> i32;
    fd_readdir(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    fd_renumber(a: i32, b: i32) -> i32;
    fd_seek(a: i32, b: i64, c: i32, d: i32) -> i32;
    fd_sync(a: i32) -> i32;
    fd_tell(a: i32, b: i32) -> i32;
    fd_write(a: i32, b: i32, c: i32, d: i32) -> i32;
    path_create_directory(a: i32, b: i32, c: i32) -> i32;
    path_filestat_get(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    path_filestat_set_times(a: i32, b: i32, c: i32, d: i32, e: i64, f: i64, g: i32) -> i32;
    path_link(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32) -> i32;
    path_open(a: i32, b: i32, c: i32, d: i32, e: i32, f: i64, g: i64, h: i32, i: i32) -> i32;
    path_readlink(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    path_remove_directory(a: i32, b: i32, c: i32) -> i32;
    path_rename(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    path_symlink(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    path_unlink_file(a: i32, b: i32, c: i32) -> i32;
    poll_oneoff(a: i32, b: i32, c: i32, d: i32) -> i32;
    proc_exit(a: i32) -> ();
    proc_raise(a: i32) -> i32;
    sched_yield() -> i32;
    random_get(a: i32, b: i32) -> i32;
    sock_accept(a: i32, b: i32, c: i32) -> i32;
    sock_recv(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    sock_send(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    sock_shutdown(a: i32, b: i32) -> i32;
}
