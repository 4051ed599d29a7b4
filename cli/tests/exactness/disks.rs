//! Disks that are full: a node says so, and goes on when there is space again.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use crate::{
    anvil::Anvil,
    kills::Who,
    market::{Kind, Market},
    party::{Party, fill},
};

/// A file system of its own in memory; it is gone with this value.
struct Disk(PathBuf);

impl Disk {
    /// None, said: this user may not make one.
    fn at(place: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(place).expect("made");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(place).output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(place.to_owned()));
        }
        // Not with `eprintln!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: full disks, since only root may mount one: {mounted:?}");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: processes that are still ending do not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let Some(anvil) = Anvil::start_with(31_337, &["--block-time", "1", "--mixed-mining"]) else { return };
    let mut disks = Vec::new();
    let mut parties = Vec::new();
    for _ in 0..2 {
        let home = crate::support::Home::new();
        let Some(disk) = Disk::at(&home.path(), "64m") else { return };
        disks.push(disk);
        // Otherwise it promises no more than is free when it starts.
        std::fs::write(home.path().join("config.toml"), "[node]\ndisk = \"32 MiB\"\n").expect("written");
        parties.push(Party::in_home(&anvil, home));
    }
    let provider = parties.pop().expect("two");
    let client = parties.pop().expect("two");
    let mut market = Market::with(anvil, client, provider, false);
    for (number, (who, room)) in [
        (Who::Provider, 0),
        (Who::Client, 0),
        (Who::Provider, 100 << 10),
        (Who::Client, 100 << 10),
        (Who::Provider, 600 << 10),
    ]
    .into_iter()
    .enumerate()
    {
        market.ask(Kind::Fetch);
        thread::sleep(Duration::from_millis(200 * number as u64));
        let filler = market.party(who).home.path().join("filler");
        fill(&filler, u64::MAX);
        if room > 0 {
            let length = filler.metadata().expect("a file").len();
            std::fs::OpenOptions::new().write(true).open(&filler).expect("a file").set_len(length - room).expect("cut");
        }
        market.ask(Kind::Busy);
        market.ask(Kind::Echo);
        thread::sleep(Duration::from_secs(3));
        // Killed in the midst of it, or it has stopped by itself: it may start, or says why it cannot.
        let said = market.party(who).said().len();
        if !market.party(who).has_ended() {
            market.party(who).kill();
            market.figures.kills += 1;
        }
        market.party(who).start();
        thread::sleep(Duration::from_secs(3));
        let ended = market.party(who).has_ended();
        let all = market.party(who).said();
        if ended {
            let last = all[said..].lines().last().unwrap_or_default();
            assert!(last.starts_with("error: "), "it ended without a reason: {last}");
        }
        assert!(
            room > 0 || all.contains("full") || all.contains("No space left"),
            "{who:?} does not say that its disk is full: {all}"
        );
        std::fs::remove_file(&filler).expect("removed");
        if market.party(who).has_ended() {
            market.party(who).start();
        }
        market.wait_until_done(|market| {
            // Nobody but a service manager starts what has stopped.
            if market.party(who).has_ended() {
                market.party(who).start();
            }
        });
        market.party(who).wait();
        *market.figures.others.entry("full disks").or_default() += 1;
    }
    market.audit();
    market.figures.print("full disks");
    drop(market);
    drop(disks);
}
