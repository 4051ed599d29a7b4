//! A websocket whose messages come twice, late, and in another order.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::wire::Faults;

/// The longest message that is passed on, in bytes.
const LONGEST: u64 = 64 << 20;

struct Shared {
    backend: String,
    /// What draws, and what it drew so far; without it messages pass as they come.
    weather: Mutex<(Option<StdRng>, Faults)>,
}

/// A proxy in front of the chain's node, for websockets. Its threads end with their connections.
pub struct Frames {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Frames {
    /// In front of the node at this HTTP URL, which takes websockets at the same place.
    pub fn to(backend: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let backend = backend.trim_start_matches("http://").to_owned();
        let shared = Arc::new(Shared { backend, weather: Mutex::default() });
        let inner = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&inner);
                let Ok(far) = TcpStream::connect(&shared.backend) else { return };
                let (Ok(near_in), Ok(far_in)) = (near.try_clone(), far.try_clone()) else { return };
                thread::spawn(move || pass(near_in, far));
                thread::spawn(move || {
                    // Whoever hangs up in the middle is no concern of the proxy.
                    let _ = mix_up(far_in, &near, &shared);
                    let _ = near.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// From now on messages are mixed up; without a seed they are not.
    pub fn weather(&self, seed: Option<u64>) {
        self.shared.weather.lock().expect("no panic").0 = seed.map(StdRng::seed_from_u64);
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Faults {
        self.shared.weather.lock().expect("no panic").1.clone()
    }
}

/// Everything as it comes.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

/// One frame of RFC 6455 from a server, which masks nothing.
fn frame(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    from.read_exact(&mut frame)?;
    let more = match frame[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut length = vec![0; more];
    from.read_exact(&mut length)?;
    let bytes = if more == 0 {
        u64::from(frame[1] & 0x7f)
    } else {
        length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    assert!(bytes <= LONGEST, "a message of {bytes} bytes");
    frame.extend(length);
    let head = frame.len();
    frame.resize(head + usize::try_from(bytes).expect("it fits"), 0);
    from.read_exact(&mut frame[head..])?;
    Ok(frame)
}

fn mix_up(mut from: TcpStream, mut to: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        head.extend(byte);
    }
    to.write_all(&head)?;
    let mut held: Option<Vec<u8>> = None;
    loop {
        // What is held back comes when nothing else does, too.
        from.set_read_timeout(held.is_some().then_some(Duration::from_millis(300)))?;
        let mut first = [0];
        match from.peek(&mut first) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if let Some(before) = held.take() {
                    to.write_all(&before)?;
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        from.set_read_timeout(None)?;
        let now = frame(&mut from)?;
        // Only whole texts are messages; others are the websocket's own.
        let drawn = if now[0] == 0x81 { draw(shared) } else { None };
        match drawn {
            Some("twice") => {
                to.write_all(&now)?;
                to.write_all(&now)?;
            }
            Some("late") => {
                thread::sleep(Duration::from_millis(400));
                to.write_all(&now)?;
            }
            Some("out of order") if held.is_none() => {
                held = Some(now);
                continue;
            }
            _ => to.write_all(&now)?,
        }
        if let Some(before) = held.take() {
            to.write_all(&before)?;
        }
    }
}

fn draw(shared: &Shared) -> Option<&'static str> {
    let mut weather = shared.weather.lock().expect("no panic");
    let (random, faults) = &mut *weather;
    let name = match random.as_mut()?.random_range(0..10_u8) {
        0 | 1 => "twice",
        2 => "late",
        3 | 4 => "out of order",
        _ => return None,
    };
    *faults.entry(name).or_default() += 1;
    Some(name)
}
