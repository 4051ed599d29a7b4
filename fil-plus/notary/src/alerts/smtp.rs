//! Alerts by mail: RFC 5321 over TLS from the first byte (RFC 8314, the default) or after STARTTLS (RFC 3207), in the clear only to a
//! relay on this machine.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use lettre::{
    Message,
    address::AddressError,
    message::{Mailbox, header},
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters},
        extension::ClientId,
    },
};
use lota_market::Time;
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::ConfigVerifierExt as _;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufRead as _, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Alert, AlertKind, Deliver, DeliverError};
use crate::outgoing::{self, causes, is_local_name, shown};

/// The most time for a connection, and for a whole delivery.
const CONNECT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that a server may say during a delivery, in bytes: replies, and its certificates.
const MAX_SAID: usize = 64 << 10;
/// The same in lines. lettre reads a reply from its beginning with each of its lines, so many would cost time; of what is encrypted, each
/// 256th byte ends one.
const MAX_LINES: usize = 500;
/// The most recipients.
const MAX_RECIPIENTS: usize = 50;
/// The longest subject, in characters, and text, in bytes.
const MAX_SUBJECT: usize = 120;
const MAX_TEXT: usize = 32 << 10;

/// How what is sent is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte: port 465.
    Tls,
    /// TLS after STARTTLS, without which nothing is sent: port 587.
    StartTls,
    /// None: to a relay on this machine.
    None,
}

/// A mail server, and whom it is to tell.
#[derive(Clone)]
pub struct SmtpSettings {
    /// Its name, which its certificate must have.
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// `Name <address>`, or an address.
    pub from: String,
    pub to: Vec<String>,
}

impl std::fmt::Debug for SmtpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, security, from, to, .. } = self;
        let mut shown = f.debug_struct("SmtpSettings");
        shown.field("host", host).field("port", port).field("security", security);
        shown.field("from", from).field("to", to).finish_non_exhaustive()
    }
}

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    #[error("`{address}` is no mail address: {source}")]
    Address { address: String, source: AddressError },
    #[error("mail needs 1 to {MAX_RECIPIENTS} recipients; there are {count}")]
    Recipients { count: usize },
    #[error("mail to {host} would go unencrypted; only a relay on this machine (localhost) may be without TLS")]
    Insecure { host: String },
    #[error("the mail server's name is missing, or has more than 255 bytes")]
    Host,
}

/// Why a server did not take a mail.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("there is no connection")]
    Connection(#[source] io::Error),
    #[error("there can be no TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Smtp(#[from] lettre::transport::smtp::Error),
}

impl SendError {
    /// The reply's code, if it was one.
    fn code(&self) -> Option<u16> {
        match self {
            Self::Connection(_) | Self::Tls(_) => None,
            Self::Smtp(error) => error.status().map(u16::from),
        }
    }
}

/// Mail to the same people, over one server.
#[derive(Clone, Debug)]
pub struct Smtp {
    name: String,
    settings: SmtpSettings,
    from: Mailbox,
    to: Vec<Mailbox>,
    patience: Duration,
    clock: fn() -> Time,
    /// Whose certificates are believed.
    trust: fn() -> Result<ClientConfig, rustls::Error>,
}

impl Smtp {
    /// Mail by this server.
    ///
    /// # Errors
    /// [`SmtpError`].
    pub fn new(name: impl Into<String>, settings: SmtpSettings) -> Result<Self, SmtpError> {
        Self::with_clock(name, settings, PATIENCE, outgoing::clock)
    }

    fn with_clock(
        name: impl Into<String>,
        settings: SmtpSettings,
        patience: Duration,
        clock: fn() -> Time,
    ) -> Result<Self, SmtpError> {
        if settings.host.is_empty() || settings.host.len() > 255 {
            return Err(SmtpError::Host);
        }
        if settings.security == Security::None && !is_local_name(&settings.host) {
            return Err(SmtpError::Insecure { host: shown(&settings.host) });
        }
        if !(1..=MAX_RECIPIENTS).contains(&settings.to.len()) {
            return Err(SmtpError::Recipients { count: settings.to.len() });
        }
        let mailbox = |text: &String| {
            text.parse::<Mailbox>().map_err(|source| SmtpError::Address { address: shown(text), source })
        };
        let (from, to) = (mailbox(&settings.from)?, settings.to.iter().map(mailbox).collect::<Result<_, _>>()?);
        Ok(Self { name: name.into(), settings, from, to, patience, clock, trust: ClientConfig::with_platform_verifier })
    }

    /// The mail for an alert. The same alert gives the same `Message-ID`, so that a mail reader shows it once.
    fn message(&self, alert: &Alert) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        let id = format!("<{}@{domain}>", hex::encode(&Sha256::digest(&alert.id)[..16]));
        let sent = SystemTime::UNIX_EPOCH + Duration::from_secs((self.clock)().0);
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(subject(alert))
            .date(sent)
            .message_id(Some(id))
            .header(AutoSubmitted)
            .header(header::ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        message.body(text(alert))
    }

    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let SmtpSettings { host, port, security, credentials, .. } = &self.settings;
        // RFC 5321, 4.1.4: whoever has no name of its own gives an address; which of its addresses a server sees it does not know.
        let hello = ClientId::default();
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect((host.as_str(), *port))).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(SendError::Connection)?;
        let stream = Lines::of(stream);
        let mut connection = match security {
            Security::Tls => {
                // By ourselves, since lettre would read as much as it is given.
                let stream = self.encrypted(stream).await?;
                AsyncSmtpConnection::connect_with_transport(Box::new(Lines::of(stream)), &hello).await?
            }
            Security::StartTls | Security::None => {
                let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?;
                if *security == Security::StartTls {
                    // An error, if the server does not offer it.
                    connection.starttls(TlsParameters::new(host.clone())?, &hello).await?;
                }
                connection
            }
        };
        if let Some((user, password)) = credentials {
            connection.auth(DEFAULT_MECHANISMS, &Credentials::new(user.clone(), password.clone())).await?;
        }
        connection.send(message.envelope(), &message.formatted()).await?;
        // It has the message; how it takes leave does not matter.
        connection.abort().await;
        Ok(())
    }

    async fn encrypted(&self, stream: Lines<TcpStream>) -> Result<TlsStream<Lines<TcpStream>>, SendError> {
        lota_http::use_ring();
        let name = ServerName::try_from(self.settings.host.clone()).map_err(|error| SendError::Tls(error.into()))?;
        let config = (self.trust)().map_err(|error| SendError::Tls(error.into()))?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(SendError::Connection)
    }
}

#[async_trait]
impl Deliver for Smtp {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), DeliverError> {
        let message = self
            .message(alert)
            .map_err(|error| DeliverError::Permanent(format!("the mail cannot be written: {}", causes(&error))))?;
        let place = format!("{}:{}", shown(&self.settings.host), self.settings.port);
        match tokio::time::timeout(self.patience, self.send(&message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let why = format!("{place} did not take the mail: {}", causes(&error));
                match error.code() {
                    // 530, 534, 535, 538: who may log in is a matter of settings.
                    Some(530 | 534 | 535 | 538) => Err(DeliverError::Temporary(why)),
                    Some(500..=599) => Err(DeliverError::Permanent(why)),
                    _ => Err(DeliverError::Temporary(why)),
                }
            }
            Err(_) => Err(DeliverError::Temporary(format!("{place} had not taken the mail after {:?}", self.patience))),
        }
    }
}

/// One line without control characters: nothing of an alert begins another header.
fn subject(alert: &Alert) -> String {
    let kind = match alert.kind {
        AlertKind::Nominated => "nominated",
        AlertKind::NeedsVote => "a vote is missing",
        AlertKind::Blessed => "blessed",
        AlertKind::Granted => "granted",
        AlertKind::Ended => "ended",
        AlertKind::GrantFailed => "a grant failed",
        AlertKind::Paid => "paid",
        AlertKind::NotPaid => "a grant is lost",
        AlertKind::Answered => "another notary answered",
        AlertKind::Problem => "problem",
    };
    let job = alert.job.map(|job| format!(" {}", &job.to_string()[..10])).unwrap_or_default();
    let text = format!("[Lota notary] {kind}{job}: {}", alert.text);
    let clean = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    clean.take(MAX_SUBJECT).collect::<String>().trim_end().to_owned()
}

/// The text, and the details as they are. Control characters other than the end of a line become spaces.
fn text(alert: &Alert) -> String {
    let mut text = format!("{}\n", alert.text);
    if let Some(job) = alert.job {
        text.push_str(&format!("\nJob: {job}\n"));
    }
    if !alert.details.is_null() {
        text.push_str(&format!("\n{:#}\n", alert.details));
    }
    let mut clean = String::with_capacity(text.len().min(MAX_TEXT));
    for char in text.chars() {
        if clean.len() > MAX_TEXT {
            clean.push_str("\n...\n");
            break;
        }
        clean.push(if char == '\n' || !char.is_control() { char } else { ' ' });
    }
    clean
}

/// RFC 3834, 5: no machine answers this.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// A connection that gives at most a line at once, and so many bytes in all. A server's reply is read from it line by line, so nothing that
/// came in the clear is left in a buffer when TLS begins: whatever somebody put behind the reply to STARTTLS (RFC 3207, 6) goes to the
/// handshake, which fails by it.
#[derive(Debug)]
struct Lines<S> {
    stream: BufReader<S>,
    /// Bytes and lines that it may still give.
    left: usize,
    lines: usize,
}

impl<S: AsyncRead> Lines<S> {
    fn of(stream: S) -> Self {
        Self { stream: BufReader::new(stream), left: MAX_SAID, lines: MAX_LINES }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lines<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (left, lines) = (self.left, self.lines);
        let found = ready!(Pin::new(&mut self.stream).poll_fill_buf(context))?;
        let line = found.iter().position(|byte| *byte == b'\n').map_or(found.len(), |end| end + 1);
        let count = line.min(into.remaining());
        let ended = usize::from(count > 0 && found[count - 1] == b'\n');
        if count > left || ended > lines {
            let problem = format!("the server said more than {MAX_SAID} bytes, or {MAX_LINES} lines");
            return Poll::Ready(Err(io::Error::other(problem)));
        }
        into.put_slice(&found[..count]);
        self.left -= count;
        self.lines -= ended;
        Pin::new(&mut self.stream).consume(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lines<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Lines<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}

impl AsyncTokioStream for Lines<TlsStream<Lines<TcpStream>>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().get_ref().0.peer_addr()
    }
}

#[cfg(test)]
mod tests;
