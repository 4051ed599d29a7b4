//! What the host keeps for one running program.

use std::fs::File;

use super::preview1::types::{self, CiovecArray, Errno, IovecArray};
use wasmtime::Memory;
use wiggle::{GuestMemory, GuestPtr};

use super::clock::Clock;
use super::fs::{Descriptors, ROOT, Tree};
use super::fuel::Meter;
use super::limiter::MemoryLimiter;
use super::random::Random;
use super::stop::{Fail, Stop};
use super::stream::Stream;
use crate::executor::{Progress, Run, StandardStream};

/// Most buffers in one scatter or gather call (`IOV_MAX` of the usual systems).
const BUFFERS: u32 = 1024;

/// The data of the engine's store: all that host calls work on.
pub(crate) struct Host {
    pub(crate) meter: Meter,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Each with its closing NUL.
    pub(crate) args: Vec<Vec<u8>>,
    /// `NAME=value`, each with its closing NUL.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) tree: Tree,
    pub(crate) descriptors: Descriptors,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    pub(crate) limiter: MemoryLimiter,
    /// The program's memory, once it is known.
    pub(crate) memory: Option<Memory>,
}

impl Host {
    /// `fuel` may be less than the run's limit.
    pub(crate) fn new(run: &Run, seed: [u8; 32], fuel: u64, tree: Tree, stdout: File, stderr: File) -> Self {
        let args = std::iter::once(Run::PROGRAM_NAME).chain(run.args.iter().map(String::as_str));
        Self {
            meter: Meter::new(fuel),
            clock: Clock::new(run.opened_at),
            random: Random::new(seed),
            args: args.map(|arg| format!("{arg}\0").into_bytes()).collect(),
            env: run.env.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect(),
            tree,
            descriptors: Descriptors::new(ROOT),
            stdout: Stream::new(stdout, StandardStream::Stdout, run.logs.clone()),
            stderr: Stream::new(stderr, StandardStream::Stderr, run.logs.clone()),
            limiter: MemoryLimiter::new(run.limits.memory_bytes),
            memory: None,
        }
    }

    /// Adds this host's figures to a sample.
    pub(crate) fn sample(&self, progress: &mut Progress) {
        progress.fuel_used = self.meter.used();
        progress.stdout_bytes = self.stdout.written();
        progress.stderr_bytes = self.stderr.written();
        progress.output_bytes = self.tree.quota().bytes();
        progress.output_entries = self.tree.quota().entries();
    }

    /// Copies a path out of the program's memory, charging for it.
    pub(crate) fn text(&mut self, memory: &GuestMemory<'_>, text: GuestPtr<str>) -> Result<String, types::Error> {
        self.meter.charge_bytes(u64::from(text.len()))?;
        // Longer than any path that is accepted: not worth copying.
        if text.len() as usize > super::fs::PATH_BYTES {
            return Err(Errno::Nametoolong.into());
        }
        Ok(memory.as_cow_str(text)?.into_owned())
    }

    /// The buffers of a gather call.
    pub(crate) fn sources(
        &mut self,
        memory: &GuestMemory<'_>,
        buffers: CiovecArray,
    ) -> Result<Vec<GuestPtr<[u8]>>, types::Error> {
        self.few(buffers.len())?;
        buffers.iter().map(|at| memory.read(at?).map(|iov| iov.buf.as_array(iov.buf_len)).map_err(Into::into)).collect()
    }

    /// The buffers of a scatter call.
    pub(crate) fn targets(
        &mut self,
        memory: &GuestMemory<'_>,
        buffers: IovecArray,
    ) -> Result<Vec<GuestPtr<[u8]>>, types::Error> {
        self.few(buffers.len())?;
        buffers.iter().map(|at| memory.read(at?).map(|iov| iov.buf.as_array(iov.buf_len)).map_err(Into::into)).collect()
    }

    fn few(&mut self, buffers: u32) -> Result<(), Fail> {
        if buffers > BUFFERS {
            return Err(Errno::Inval.into());
        }
        self.meter.charge_bytes(u64::from(buffers) * 8)?;
        Ok(())
    }
}

/// Borrows a piece of the program's memory.
pub(crate) fn borrow<'m>(memory: &'m GuestMemory<'_>, at: GuestPtr<[u8]>) -> Result<&'m [u8], types::Error> {
    Ok(memory.as_slice(at)?.ok_or(Stop::BadCall(SHARED))?)
}

/// Borrows a piece of the program's memory for writing.
pub(crate) fn borrow_mut<'m>(
    memory: &'m mut GuestMemory<'_>,
    at: GuestPtr<[u8]>,
) -> Result<&'m mut [u8], types::Error> {
    Ok(memory.as_slice_mut(at)?.ok_or(Stop::BadCall(SHARED))?)
}

const SHARED: &str = "shared memory is not supported";
