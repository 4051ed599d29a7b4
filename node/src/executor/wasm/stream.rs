//! Standard output and error: files of the result with a limit each.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::stop::Stop;

/// Bytes held back before they are written to the host.
const BUFFER: usize = 64 * 1024;

/// One of the two streams.
#[derive(Debug)]
pub(crate) struct Stream {
    name: &'static str,
    file: BufWriter<File>,
    written: u64,
    limit: u64,
}

impl Stream {
    pub(crate) fn new(name: &'static str, file: File, limit: u64) -> Self {
        Self { name, file: BufWriter::with_capacity(BUFFER, file), written: 0, limit }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Writes all of `bytes`; past the limit writes what fits and ends the program.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let room = self.limit - self.written;
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.file.write_all(&bytes[..fits]).map_err(Stop::work("writing a standard stream"))?;
        self.written += fits as u64;
        if fits < bytes.len() {
            return Err(Stop::OutputFull(format!("more than {} bytes on {}", self.limit, self.name)));
        }
        Ok(())
    }

    /// Writes out what was held back.
    pub(crate) fn finish(mut self) -> Result<u64, Stop> {
        self.file.flush().map_err(Stop::work("writing a standard stream"))?;
        Ok(self.written)
    }
}
