//! Connects the host calls to the engine.
//!
//! wasmtime-wasi generates the trait and takes arguments apart; what it generates to fill a linker cannot be used, since
//! it gives an implementation no way to charge fuel to the store. This is the same with that one thing added.

use futures::FutureExt;
use wasmtime::{Caller, Extern, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as abi;
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

/// What an implementation without a single `await` that waits answers at once.
fn ready<R>(future: impl Future<Output = wasmtime::Result<R>>) -> wasmtime::Result<R> {
    future.now_or_never().unwrap_or_else(|| Err(Stop::BadCall("a host call waited").into()))
}

macro_rules! host_calls {
    ($( $kind:ident $name:ident($($arg:ident: $type:ty),*) -> $result:ty; )*) => {
        /// The names of all functions there are.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Adds all functions.
        pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    |mut caller: Caller<'_, Host>, $($arg: $type),*| -> wasmtime::Result<$result> {
                        call(&mut caller, |host, memory| host_calls!(@$kind abi::$name(host, memory, $($arg),*)))
                    },
                )?;
            )*
            Ok(())
        }
    };
    (@sync $call:expr) => { $call };
    (@future $call:expr) => { ready($call) };
}

host_calls! {
    sync args_get(a: i32, b: i32) -> i32;
    sync args_sizes_get(a: i32, b: i32) -> i32;
    sync environ_get(a: i32, b: i32) -> i32;
    sync environ_sizes_get(a: i32, b: i32) -> i32;
    sync clock_res_get(a: i32, b: i32) -> i32;
    sync clock_time_get(a: i32, b: i64, c: i32) -> i32;
    future fd_advise(a: i32, b: i64, c: i64, d: i32) -> i32;
    sync fd_allocate(a: i32, b: i64, c: i64) -> i32;
    future fd_close(a: i32) -> i32;
    future fd_datasync(a: i32) -> i32;
    future fd_fdstat_get(a: i32, b: i32) -> i32;
    sync fd_fdstat_set_flags(a: i32, b: i32) -> i32;
    sync fd_fdstat_set_rights(a: i32, b: i64, c: i64) -> i32;
    future fd_filestat_get(a: i32, b: i32) -> i32;
    future fd_filestat_set_size(a: i32, b: i64) -> i32;
    future fd_filestat_set_times(a: i32, b: i64, c: i64, d: i32) -> i32;
    future fd_pread(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    sync fd_prestat_get(a: i32, b: i32) -> i32;
    sync fd_prestat_dir_name(a: i32, b: i32, c: i32) -> i32;
    future fd_pwrite(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    future fd_read(a: i32, b: i32, c: i32, d: i32) -> i32;
    future fd_readdir(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    future fd_renumber(a: i32, b: i32) -> i32;
    future fd_seek(a: i32, b: i64, c: i32, d: i32) -> i32;
    future fd_sync(a: i32) -> i32;
    sync fd_tell(a: i32, b: i32) -> i32;
    future fd_write(a: i32, b: i32, c: i32, d: i32) -> i32;
    future path_create_directory(a: i32, b: i32, c: i32) -> i32;
    future path_filestat_get(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    future path_filestat_set_times(a: i32, b: i32, c: i32, d: i32, e: i64, f: i64, g: i32) -> i32;
    future path_link(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32) -> i32;
    future path_open(a: i32, b: i32, c: i32, d: i32, e: i32, f: i64, g: i64, h: i32, i: i32) -> i32;
    future path_readlink(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    future path_remove_directory(a: i32, b: i32, c: i32) -> i32;
    future path_rename(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    future path_symlink(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    future path_unlink_file(a: i32, b: i32, c: i32) -> i32;
    future poll_oneoff(a: i32, b: i32, c: i32, d: i32) -> i32;
    sync proc_exit(a: i32) -> ();
    sync proc_raise(a: i32) -> i32;
    sync sched_yield() -> i32;
    sync random_get(a: i32, b: i32) -> i32;
    sync sock_accept(a: i32, b: i32, c: i32) -> i32;
    sync sock_recv(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    sync sock_send(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    sync sock_shutdown(a: i32, b: i32) -> i32;
}
