//! WASI preview 1 over [`Host`]: the trait, in the order of its definition.
//!
//! What takes more than a few lines is in `calls`. Functions without an implementation in this world say so with the
//! error number that a program expects.

use super::preview1::types::{self, Clockid, Errno, Fdflags, Filestat, Filetype, Oflags, Rights};
use super::preview1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use super::calls::{Result, put_strings, string_sizes};
use super::clock;
use super::fs::{Descriptor, Kind, OpenDirectory, OpenFile, OpenOptions};
use super::host::{Host, borrow_mut};
use super::stop::Stop;

impl WasiSnapshotPreview1 for Host {
    fn args_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        argv: GuestPtr<GuestPtr<u8>>,
        argv_buf: GuestPtr<u8>,
    ) -> Result<()> {
        put_strings(self, memory, |host| &host.args, argv, argv_buf)
    }

    fn args_sizes_get(&mut self, _: &mut GuestMemory<'_>) -> Result<(u32, u32)> {
        string_sizes(&self.args)
    }

    fn environ_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        environ: GuestPtr<GuestPtr<u8>>,
        environ_buf: GuestPtr<u8>,
    ) -> Result<()> {
        put_strings(self, memory, |host| &host.env, environ, environ_buf)
    }

    fn environ_sizes_get(&mut self, _: &mut GuestMemory<'_>) -> Result<(u32, u32)> {
        string_sizes(&self.env)
    }

    fn clock_res_get(&mut self, _: &mut GuestMemory<'_>, _: Clockid) -> Result<types::Timestamp> {
        Ok(clock::RESOLUTION)
    }

    fn clock_time_get(&mut self, _: &mut GuestMemory<'_>, id: Clockid, _: u64) -> Result<types::Timestamp> {
        Ok(self.clock.now(id, self.meter.used()))
    }

    fn fd_advise(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, _: u64, _: u64, _: types::Advice) -> Result<()> {
        self.descriptors.file(fd)?;
        Ok(())
    }

    fn fd_allocate(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, offset: u64, len: u64) -> Result<()> {
        let file = self.descriptors.file(fd)?;
        if !file.write {
            return Err(Errno::Badf.into());
        }
        let node = file.node;
        let end = offset.checked_add(len).ok_or(Errno::Fbig)?;
        if end > self.tree.size(node)? {
            self.tree.set_size(node, end, &mut self.meter)?;
        }
        Ok(())
    }

    fn fd_close(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        let closed = self.descriptors.remove(fd)?;
        self.release(closed)
    }

    fn fd_datasync(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.descriptors.get(fd)?;
        Ok(())
    }

    fn fd_fdstat_get(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<types::Fdstat> {
        let read = Rights::FD_READ | Rights::POLL_FD_READWRITE;
        let write = Rights::FD_WRITE | Rights::POLL_FD_READWRITE;
        let none = Rights::empty();
        let (fs_filetype, fs_flags, fs_rights_base, fs_rights_inheriting) = match self.descriptors.get(fd)? {
            Descriptor::Stdin => (Filetype::Unknown, Fdflags::empty(), read, none),
            Descriptor::Stdout | Descriptor::Stderr => (Filetype::Unknown, Fdflags::APPEND, write, none),
            Descriptor::Directory(_) => {
                let inherited =
                    DIRECTORY_RIGHTS | FILE_RIGHTS | read | write | Rights::FD_ALLOCATE | Rights::FD_FILESTAT_SET_SIZE;
                (Filetype::Directory, Fdflags::empty(), DIRECTORY_RIGHTS, inherited)
            }
            Descriptor::File(file) => {
                let mut rights = FILE_RIGHTS;
                rights.set(read, file.read);
                rights.set(write | Rights::FD_ALLOCATE | Rights::FD_FILESTAT_SET_SIZE, file.write);
                (Filetype::RegularFile, file.flags, rights, none)
            }
        };
        Ok(types::Fdstat { fs_filetype, fs_flags, fs_rights_base, fs_rights_inheriting })
    }

    fn fd_fdstat_set_flags(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, flags: Fdflags) -> Result<()> {
        if let Descriptor::File(file) = self.descriptors.get_mut(fd)? {
            file.flags = flags;
        }
        Ok(())
    }

    fn fd_fdstat_set_rights(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, _: Rights, _: Rights) -> Result<()> {
        self.descriptors.get(fd)?;
        Err(Errno::Notsup.into())
    }

    fn fd_filestat_get(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<Filestat> {
        match self.descriptors.get(fd)? {
            Descriptor::Stdin | Descriptor::Stdout | Descriptor::Stderr => Ok(Filestat {
                dev: 0,
                ino: 0,
                filetype: Filetype::Unknown,
                nlink: 0,
                size: 0,
                atim: 0,
                mtim: 0,
                ctim: 0,
            }),
            Descriptor::Directory(OpenDirectory { node, .. }) | Descriptor::File(OpenFile { node, .. }) => {
                let node = *node;
                self.stat(node)
            }
        }
    }

    fn fd_filestat_set_size(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, size: u64) -> Result<()> {
        let file = self.descriptors.file(fd)?;
        if !file.write {
            return Err(Errno::Badf.into());
        }
        let node = file.node;
        Ok(self.tree.set_size(node, size, &mut self.meter)?)
    }

    fn fd_filestat_set_times(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: u64,
        _: u64,
        _: types::Fstflags,
    ) -> Result<()> {
        let node = self.node(fd)?;
        self.touch(node)
    }

    fn fd_pread(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        iovs: types::IovecArray,
        offset: u64,
    ) -> Result<u32> {
        self.read(memory, fd, iovs, Some(offset))
    }

    fn fd_prestat_get(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<types::Prestat> {
        match self.descriptors.get(fd)? {
            Descriptor::Directory(OpenDirectory { preopened: true, .. }) => {
                Ok(types::Prestat::Dir(types::PrestatDir { pr_name_len: 1 }))
            }
            _ => Err(Errno::Badf.into()),
        }
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<u8>,
        path_len: u32,
    ) -> Result<()> {
        match self.descriptors.get(fd)? {
            Descriptor::Directory(OpenDirectory { preopened: true, .. }) if path_len == 0 => {
                Err(Errno::Nametoolong.into())
            }
            Descriptor::Directory(OpenDirectory { preopened: true, .. }) => Ok(memory.write(path, b'/')?),
            _ => Err(Errno::Notdir.into()),
        }
    }

    fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        ciovs: types::CiovecArray,
        offset: u64,
    ) -> Result<u32> {
        self.write(memory, fd, ciovs, Some(offset))
    }

    fn fd_read(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd, iovs: types::IovecArray) -> Result<u32> {
        self.read(memory, fd, iovs, None)
    }

    fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buf: GuestPtr<u8>,
        buf_len: u32,
        cookie: u64,
    ) -> Result<u32> {
        let Self { descriptors, tree, meter, .. } = self;
        let directory = match descriptors.get_mut(fd)? {
            Descriptor::Directory(directory) => directory,
            Descriptor::File(_) => return Err(Errno::Notdir.into()),
            Descriptor::Stdin | Descriptor::Stdout | Descriptor::Stderr => return Err(Errno::Badf.into()),
        };
        let out = borrow_mut(memory, buf.as_array(buf_len))?;
        let filled = directory.read(tree, out, cookie, meter)?;
        meter.charge_bytes(filled as u64)?;
        Ok(u32::try_from(filled).map_err(|_| Errno::Overflow)?)
    }

    fn fd_renumber(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, to: types::Fd) -> Result<()> {
        match self.descriptors.renumber(fd.into(), to.into())? {
            Some(replaced) => self.release(replaced),
            None => Ok(()),
        }
    }

    fn fd_seek(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, offset: i64, whence: types::Whence) -> Result<u64> {
        let file = self.descriptors.file(fd)?;
        let (node, position) = (file.node, file.position);
        let base = match whence {
            types::Whence::Set => 0,
            types::Whence::Cur => position,
            types::Whence::End => self.tree.size(node)?,
        };
        let to = base.checked_add_signed(offset).filter(|to| i64::try_from(*to).is_ok()).ok_or(Errno::Inval)?;
        self.descriptors.file(fd)?.position = to;
        Ok(to)
    }

    fn fd_sync(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.descriptors.get(fd)?;
        Ok(())
    }

    fn fd_tell(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<u64> {
        Ok(self.descriptors.file(fd)?.position)
    }

    fn fd_write(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd, ciovs: types::CiovecArray) -> Result<u32> {
        self.write(memory, fd, ciovs, None)
    }

    fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let base = self.descriptors.directory(fd)?;
        let path = self.text(memory, path)?;
        Ok(self.tree.make_directory(base, &path, &mut self.meter)?)
    }

    fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat> {
        let node = self.existing(memory, fd, path)?;
        self.stat(node)
    }

    fn path_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::Lookupflags,
        path: GuestPtr<str>,
        _: u64,
        _: u64,
        _: types::Fstflags,
    ) -> Result<()> {
        let node = self.existing(memory, fd, path)?;
        self.touch(node)
    }

    fn path_link(
        &mut self,
        _: &mut GuestMemory<'_>,
        old_fd: types::Fd,
        _: types::Lookupflags,
        _: GuestPtr<str>,
        new_fd: types::Fd,
        _: GuestPtr<str>,
    ) -> Result<()> {
        self.descriptors.directory(old_fd)?;
        self.descriptors.directory(new_fd)?;
        Err(Errno::Notsup.into())
    }

    fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::Lookupflags,
        path: GuestPtr<str>,
        oflags: Oflags,
        fs_rights_base: Rights,
        _: Rights,
        fdflags: Fdflags,
    ) -> Result<types::Fd> {
        let base = self.descriptors.directory(fd)?;
        let path = self.text(memory, path)?;
        self.descriptors.room()?;
        // Nothing but this one right asks for writing: some libraries ask for all others even to read.
        let write = fs_rights_base.contains(Rights::FD_WRITE);
        let options = OpenOptions {
            write: write || fdflags.contains(Fdflags::APPEND),
            create: oflags.contains(Oflags::CREAT),
            exclusive: oflags.contains(Oflags::EXCL),
            truncate: oflags.contains(Oflags::TRUNC),
            directory: oflags.contains(Oflags::DIRECTORY),
        };
        let node = self.tree.open(base, &path, options, &mut self.meter)?;
        let opened = match self.tree.kind(node)? {
            Kind::Directory => Descriptor::Directory(OpenDirectory::new(node, false)),
            Kind::File => Descriptor::File(OpenFile {
                node,
                position: 0,
                read: fs_rights_base.contains(Rights::FD_READ),
                write,
                flags: fdflags,
            }),
        };
        Ok(self.descriptors.insert(opened)?.into())
    }

    fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
        _: GuestPtr<u8>,
        _: u32,
    ) -> Result<u32> {
        self.existing(memory, fd, path)?;
        // It exists, so it is no link.
        Err(Errno::Inval.into())
    }

    fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let base = self.descriptors.directory(fd)?;
        let path = self.text(memory, path)?;
        Ok(self.tree.remove_directory(base, &path, &mut self.meter)?)
    }

    fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        old_path: GuestPtr<str>,
        new_fd: types::Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let (from, to) = (self.descriptors.directory(fd)?, self.descriptors.directory(new_fd)?);
        let (old, new) = (self.text(memory, old_path)?, self.text(memory, new_path)?);
        Ok(self.tree.rename((from, &old), (to, &new), &mut self.meter)?)
    }

    fn path_symlink(
        &mut self,
        _: &mut GuestMemory<'_>,
        _: GuestPtr<str>,
        fd: types::Fd,
        _: GuestPtr<str>,
    ) -> Result<()> {
        self.descriptors.directory(fd)?;
        Err(Errno::Notsup.into())
    }

    fn path_unlink_file(&mut self, memory: &mut GuestMemory<'_>, fd: types::Fd, path: GuestPtr<str>) -> Result<()> {
        let base = self.descriptors.directory(fd)?;
        let path = self.text(memory, path)?;
        Ok(self.tree.remove_file(base, &path, &mut self.meter)?)
    }

    fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<types::Subscription>,
        events: GuestPtr<types::Event>,
        count: u32,
    ) -> Result<u32> {
        self.poll(memory, subscriptions.as_array(count), events.as_array(count))
    }

    fn proc_exit(&mut self, _: &mut GuestMemory<'_>, code: u32) -> wasmtime::Error {
        Stop::Exit(code).into()
    }

    fn proc_raise(&mut self, _: &mut GuestMemory<'_>, _: types::Signal) -> Result<()> {
        Err(Errno::Notsup.into())
    }

    fn sched_yield(&mut self, _: &mut GuestMemory<'_>) -> Result<()> {
        Ok(())
    }

    fn random_get(&mut self, memory: &mut GuestMemory<'_>, buf: GuestPtr<u8>, buf_len: u32) -> Result<()> {
        self.meter.charge_bytes(u64::from(buf_len))?;
        self.random.fill(borrow_mut(memory, buf.as_array(buf_len))?);
        Ok(())
    }

    fn sock_accept(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, _: Fdflags) -> Result<types::Fd> {
        self.no_socket(fd)
    }

    fn sock_recv(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::IovecArray,
        _: types::Riflags,
    ) -> Result<(u32, types::Roflags)> {
        self.no_socket(fd)
    }

    fn sock_send(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::CiovecArray,
        _: types::Siflags,
    ) -> Result<u32> {
        self.no_socket(fd)
    }

    fn sock_shutdown(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd, _: types::Sdflags) -> Result<()> {
        self.no_socket(fd)
    }
}

const DIRECTORY_RIGHTS: Rights = Rights::FD_FDSTAT_SET_FLAGS
    .union(Rights::FD_SYNC)
    .union(Rights::FD_ADVISE)
    .union(Rights::PATH_CREATE_DIRECTORY)
    .union(Rights::PATH_CREATE_FILE)
    .union(Rights::PATH_OPEN)
    .union(Rights::FD_READDIR)
    .union(Rights::PATH_READLINK)
    .union(Rights::PATH_RENAME_SOURCE)
    .union(Rights::PATH_RENAME_TARGET)
    .union(Rights::PATH_FILESTAT_GET)
    .union(Rights::PATH_FILESTAT_SET_SIZE)
    .union(Rights::PATH_FILESTAT_SET_TIMES)
    .union(Rights::FD_FILESTAT_GET)
    .union(Rights::FD_FILESTAT_SET_TIMES)
    .union(Rights::PATH_REMOVE_DIRECTORY)
    .union(Rights::PATH_UNLINK_FILE);

const FILE_RIGHTS: Rights = Rights::FD_DATASYNC
    .union(Rights::FD_SEEK)
    .union(Rights::FD_FDSTAT_SET_FLAGS)
    .union(Rights::FD_SYNC)
    .union(Rights::FD_TELL)
    .union(Rights::FD_ADVISE)
    .union(Rights::FD_FILESTAT_GET)
    .union(Rights::FD_FILESTAT_SET_TIMES);
