//! The longer host calls: strings, reading and writing, polling.

use super::preview1::types::{self, Errno, Error, Fdflags, Filestat, Filetype};
use wiggle::{GuestMemory, GuestPtr};

use super::fs::{Descriptor, Kind, NodeId, OpenDirectory, OpenFile};
use super::host::{Host, borrow, borrow_mut};

/// Device number of everything.
const DEVICE: types::Device = 1;
/// Bytes of a subscription and an event of `poll_oneoff`, together.
const POLL_BYTES: u64 = 48 + 32;

/// What a host call answers.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Writes NUL-terminated strings one after the other, and where each begins.
pub(crate) fn put_strings(
    host: &mut Host,
    memory: &mut GuestMemory<'_>,
    strings: fn(&Host) -> &[Vec<u8>],
    mut pointers: GuestPtr<GuestPtr<u8>>,
    mut buffer: GuestPtr<u8>,
) -> Result<()> {
    let (count, bytes) = string_sizes(strings(host))?;
    host.meter.charge_bytes(u64::from(count) * 4 + u64::from(bytes))?;
    for string in strings(host) {
        let len = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        memory.write(pointers, buffer)?;
        memory.copy_from_slice(string, buffer.as_array(len))?;
        pointers = pointers.add(1)?;
        buffer = buffer.add(len)?;
    }
    Ok(())
}

pub(crate) fn string_sizes(strings: &[Vec<u8>]) -> Result<(u32, u32)> {
    let bytes: usize = strings.iter().map(Vec::len).sum();
    let sizes = u32::try_from(strings.len()).ok().zip(u32::try_from(bytes).ok());
    Ok(sizes.ok_or(Errno::Overflow)?)
}

impl Host {
    pub(crate) fn stat(&mut self, node: NodeId) -> Result<Filestat> {
        let filetype = match self.tree.kind(node)? {
            Kind::Directory => Filetype::Directory,
            Kind::File => Filetype::RegularFile,
        };
        let size = self.tree.size(node)?;
        Ok(Filestat { dev: DEVICE, ino: node, filetype, nlink: 1, size, atim: 0, mtim: 0, ctim: 0 })
    }

    /// Fills buffers from a file, at an offset or at its position.
    pub(crate) fn read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::IovecArray,
        offset: Option<u64>,
    ) -> Result<u32> {
        let targets = self.targets(memory, buffers)?;
        if matches!(self.descriptors.get(fd)?, Descriptor::Stdin) && offset.is_none() {
            return Ok(0);
        }
        let file = self.descriptors.file(fd)?;
        if !file.read {
            return Err(Errno::Badf.into());
        }
        let node = file.node;
        let mut at = offset.unwrap_or(file.position);
        let mut total = 0_u32;
        for target in targets {
            let bytes = borrow_mut(memory, target)?;
            let read = self.tree.read(node, bytes, at, &mut self.meter)?;
            at += read as u64;
            total = u32::try_from(read).ok().and_then(|n| total.checked_add(n)).ok_or(Errno::Overflow)?;
            if read < target.len() as usize {
                break;
            }
        }
        if offset.is_none() {
            self.descriptors.file(fd)?.position = at;
        }
        Ok(total)
    }

    /// Writes buffers to a file or a standard stream.
    pub(crate) fn write(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
        offset: Option<u64>,
    ) -> Result<u32> {
        let sources = self.sources(memory, buffers)?;
        let lengths = sources.iter().map(|source| u64::from(source.len())).sum::<u64>();
        let total = u32::try_from(lengths).map_err(|_| Errno::Overflow)?;
        let stream = match self.descriptors.get(fd)? {
            Descriptor::Stdout if offset.is_none() => Some(&mut self.stdout),
            Descriptor::Stderr if offset.is_none() => Some(&mut self.stderr),
            _ => None,
        };
        if let Some(stream) = stream {
            self.meter.charge_bytes(lengths)?;
            for source in sources {
                stream.write(borrow(memory, source)?, self.tree.quota_mut())?;
            }
            return Ok(total);
        }
        let file = match self.descriptors.get_mut(fd)? {
            Descriptor::Stdin => return Err(Errno::Badf.into()),
            _ => self.descriptors.file(fd)?,
        };
        if !file.write {
            return Err(Errno::Badf.into());
        }
        let (node, append) = (file.node, file.flags.contains(Fdflags::APPEND));
        let position = file.position;
        let mut at = match offset {
            Some(offset) => offset,
            None if append => self.tree.size(node)?,
            None => position,
        };
        for source in sources {
            self.tree.write(node, borrow(memory, source)?, at, &mut self.meter)?;
            at = at.checked_add(u64::from(source.len())).ok_or(Errno::Fbig)?;
        }
        if offset.is_none() {
            self.descriptors.file(fd)?.position = at;
        }
        Ok(total)
    }

    /// Checks that a file's times could be set if there were any: it exists and may be changed.
    pub(crate) fn touch(&self, node: NodeId) -> Result<()> {
        if self.tree.writable(node)? { Ok(()) } else { Err(Errno::Rofs.into()) }
    }

    pub(crate) fn node(&self, fd: types::Fd) -> std::result::Result<NodeId, Errno> {
        match self.descriptors.get(fd)? {
            Descriptor::Directory(directory) => Ok(directory.node),
            Descriptor::File(file) => Ok(file.node),
            Descriptor::Stdin | Descriptor::Stdout | Descriptor::Stderr => Err(Errno::Inval),
        }
    }

    pub(crate) fn release(&mut self, descriptor: Descriptor) -> Result<()> {
        match descriptor {
            Descriptor::Stdin | Descriptor::Stdout | Descriptor::Stderr => {}
            // The root was open before the program ran; nothing counts it.
            Descriptor::Directory(OpenDirectory { preopened: true, .. }) => {}
            Descriptor::Directory(OpenDirectory { node, .. }) | Descriptor::File(OpenFile { node, .. }) => {
                self.tree.release(node)?;
            }
        }
        Ok(())
    }

    pub(crate) fn existing(&mut self, memory: &GuestMemory<'_>, fd: types::Fd, path: GuestPtr<str>) -> Result<NodeId> {
        let base = self.descriptors.directory(fd)?;
        let path = self.text(memory, path)?;
        Ok(self.tree.resolve(base, &path, &mut self.meter)?.node.ok_or(Errno::Noent)?)
    }

    pub(crate) fn no_socket<T>(&self, fd: types::Fd) -> Result<T> {
        self.descriptors.get(fd)?;
        Err(Errno::Notsock.into())
    }

    /// Files are always ready; when only clocks are waited for, virtual time moves to the earliest of them.
    pub(crate) fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<[types::Subscription]>,
        events: GuestPtr<[types::Event]>,
    ) -> Result<u32> {
        if subscriptions.len() == 0 {
            return Err(Errno::Inval.into());
        }
        self.meter.charge_bytes(u64::from(subscriptions.len()) * POLL_BYTES)?;
        let mut ready = Vec::new();
        let mut waits = Vec::new();
        for at in subscriptions.iter() {
            let types::Subscription { userdata, u } = memory.read(at?)?;
            match u {
                types::SubscriptionU::Clock(wait) => {
                    let absolute = wait.flags.contains(types::Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
                    match self.clock.wait(wait.id, wait.timeout, absolute, self.meter.used()) {
                        Ok(nanoseconds) => waits.push((nanoseconds, userdata)),
                        Err(errno) => ready.push(event(userdata, types::Eventtype::Clock, Err(errno))),
                    }
                }
                types::SubscriptionU::FdRead(of) => {
                    let left = self.readable(of.file_descriptor)?;
                    ready.push(event(userdata, types::Eventtype::FdRead, left));
                }
                types::SubscriptionU::FdWrite(of) => {
                    let room = self.descriptors.get(of.file_descriptor).map(|_| u64::from(u16::MAX));
                    ready.push(event(userdata, types::Eventtype::FdWrite, room));
                }
            }
        }
        let earliest = waits.iter().map(|(nanoseconds, _)| *nanoseconds).min().unwrap_or(0);
        let passed = if ready.is_empty() { earliest } else { 0 };
        self.clock.sleep(passed);
        for (nanoseconds, userdata) in waits {
            if nanoseconds <= passed {
                ready.push(event(userdata, types::Eventtype::Clock, Ok(0)));
            }
        }
        let count = u32::try_from(ready.len()).map_err(|_| Errno::Overflow)?;
        for (at, event) in events.iter().zip(ready) {
            memory.write(at?, event)?;
        }
        Ok(count)
    }

    /// Bytes that can be read at once from a descriptor.
    fn readable(&mut self, fd: types::Fd) -> Result<std::result::Result<u64, Errno>> {
        let (node, position) = match self.descriptors.get(fd) {
            Ok(Descriptor::File(file)) => (file.node, file.position),
            Ok(Descriptor::Stdin) => return Ok(Ok(0)),
            _ => return Ok(Err(Errno::Badf)),
        };
        Ok(Ok(self.tree.size(node)?.saturating_sub(position)))
    }
}

fn event(userdata: u64, type_: types::Eventtype, bytes: std::result::Result<u64, Errno>) -> types::Event {
    let (nbytes, error) = match bytes {
        Ok(nbytes) => (nbytes, Errno::Success),
        Err(errno) => (0, errno),
    };
    let fd_readwrite = types::EventFdReadwrite { nbytes, flags: types::Eventrwflags::empty() };
    types::Event { userdata, error, type_, fd_readwrite }
}
