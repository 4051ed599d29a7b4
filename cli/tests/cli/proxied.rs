//! HTTP as proxies in front of a chain's node speak it: one request for each connection.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

/// The answer of the chain's node at this URL.
pub fn ask(backend: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut forward = TcpStream::connect(backend.trim_start_matches("http://"))?;
    write!(forward, "POST / HTTP/1.1\r\nhost: anvil\r\ncontent-type: application/json\r\nconnection: close\r\n")?;
    write!(forward, "content-length: {}\r\n\r\n", body.len())?;
    forward.write_all(body)?;
    read(&mut BufReader::new(forward))
}

/// The body of a request or an answer.
pub fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Answers; `headers`: more of them, each with the end of its line.
pub fn write(mut stream: TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}")?;
    write!(stream, "content-length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}
