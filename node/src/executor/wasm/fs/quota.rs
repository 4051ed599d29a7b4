//! What a program may still write.

use crate::executor::wasm::stop::Stop;

/// Bytes and entries of everything that is written, against their limits. What is removed is given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    bytes: u64,
    byte_limit: u64,
    entries: u64,
    entry_limit: u64,
}

impl Quota {
    pub(crate) fn new(byte_limit: u64, entry_limit: u64) -> Self {
        Self { bytes: 0, byte_limit, entries: 0, entry_limit }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes that are left.
    pub(crate) fn room(&self) -> u64 {
        self.byte_limit - self.bytes
    }

    /// Takes `bytes` more, or ends the program.
    pub(crate) fn take_bytes(&mut self, bytes: u64) -> Result<(), Stop> {
        match self.bytes.checked_add(bytes) {
            Some(total) if total <= self.byte_limit => {
                self.bytes = total;
                Ok(())
            }
            _ => Err(Stop::OutputFull(format!("more than {} bytes of output", self.byte_limit))),
        }
    }

    pub(crate) fn give_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Takes one more file or directory, or ends the program.
    pub(crate) fn take_entry(&mut self) -> Result<(), Stop> {
        if self.entries >= self.entry_limit {
            return Err(Stop::OutputFull(format!("more than {} files and directories", self.entry_limit)));
        }
        self.entries += 1;
        Ok(())
    }

    pub(crate) fn give_entry(&mut self) {
        self.entries = self.entries.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut quota = Quota::new(10, 1);
        quota.take_bytes(10).unwrap();
        assert!(matches!(quota.take_bytes(1), Err(Stop::OutputFull(_))));
        quota.give_bytes(4);
        quota.take_bytes(4).unwrap();
        quota.take_entry().unwrap();
        assert!(matches!(quota.take_entry(), Err(Stop::OutputFull(_))));
        quota.give_entry();
        quota.take_entry().unwrap();
    }

    #[test]
    fn sizes_near_the_end_of_numbers_do_not_wrap() {
        let mut quota = Quota::new(u64::MAX, 1);
        quota.take_bytes(5).unwrap();
        assert!(matches!(quota.take_bytes(u64::MAX), Err(Stop::OutputFull(_))));
    }
}
