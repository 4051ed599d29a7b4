//! Standard output and error: files of the result.

use std::fs::File;
use std::io::{BufWriter, Write};

use bytes::Bytes;

use super::fs::Quota;
use super::stop::Stop;
use crate::executor::{LogPiece, LogSink, StandardStream};

/// Bytes held back before they are written to the host.
const BUFFER: usize = 64 * 1024;

/// One of the two streams.
#[derive(Debug)]
pub(crate) struct Stream {
    file: BufWriter<File>,
    written: u64,
    which: StandardStream,
    /// Where it is told at once.
    logs: Option<LogSink>,
}

impl Stream {
    pub(crate) fn new(file: File, which: StandardStream, logs: Option<LogSink>) -> Self {
        Self { file: BufWriter::with_capacity(BUFFER, file), written: 0, which, logs }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Writes all of `bytes`; past the limit writes what fits and ends the program.
    pub(crate) fn write(&mut self, bytes: &[u8], quota: &mut Quota) -> Result<(), Stop> {
        let fits = bytes.len().min(usize::try_from(quota.room()).unwrap_or(usize::MAX));
        quota.take_bytes(fits as u64)?;
        self.file.write_all(&bytes[..fits]).map_err(Stop::work("writing a standard stream"))?;
        self.written += fits as u64;
        if let Some(logs) = &self.logs {
            // A reader that is slow or gone misses it.
            let _ = logs.try_send(LogPiece { stream: self.which, bytes: Bytes::copy_from_slice(&bytes[..fits]) });
        }
        quota.take_bytes((bytes.len() - fits) as u64)
    }

    /// Writes out what was held back.
    pub(crate) fn finish(mut self) -> Result<u64, Stop> {
        self.file.flush().map_err(Stop::work("writing a standard stream"))?;
        Ok(self.written)
    }
}
