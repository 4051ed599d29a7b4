//! The memory limit of one program.

use wasmtime::ResourceLimiter;

use super::stop::Stop;

/// Table elements a program may have in all; each takes a pointer of the host's memory.
pub const TABLE_ELEMENTS: usize = 1 << 20;
/// Largest 32-bit memory, in bytes.
const LARGEST: usize = 1 << 32;

/// Grants memory up to the limit and refuses more: `memory.grow` then answers -1, as on a machine that is full. That the
/// host itself has no more memory is never shown to the program; it ends the run as a failure of this provider.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: usize,
    table_elements: usize,
    refused: bool,
}

impl MemoryLimiter {
    pub(crate) fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(LARGEST).min(LARGEST);
        Self { limit, table_elements: 0, refused: false }
    }

    /// Whether the program was ever refused memory.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let over = desired > self.limit;
        self.refused |= over;
        Ok(!over && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // A request past what 32 bits can address comes here without `memory_growing` being asked first; nothing but the
        // text tells it from a failure of the host.
        if error.to_string().contains("type's limits") {
            self.refused = true;
            return Ok(());
        }
        Err(wasmtime::Error::new(Stop::HostMemory(format!("{error:#}"))))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.table_elements.saturating_sub(current).saturating_add(desired);
        let over = total > TABLE_ELEMENTS;
        self.refused |= over;
        if !over {
            self.table_elements = total;
        }
        Ok(!over)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
