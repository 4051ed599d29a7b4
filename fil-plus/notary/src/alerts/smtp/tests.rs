use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lota_market::{B256, model::JobId};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate for `localhost`, which it signed itself, until 2126; and its key (PKCS #8). Both are DER.
const CERTIFICATE: &str = "MIIBkTCCATigAwIBAgIUPlm710eu9cZJvJGjvMCRKxTnsfEwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEy\
    MjE2MDExMVoYDzIxMjYxMDI5MTYwMTExWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATQV4iWLN9c8umqB0cS85cJbikF\
    edy8QWeh6AVKaLfwXFmtlqVW5KYRuZaoMEtE6F07YEdcC2s4d6UbfpcLg1+Qo2YwZDAdBgNVHQ4EFgQUYxZ9P5/oinFxh6Els2MbPcBnKM0wHwYDVR0jBBgwFoAU\
    YxZ9P5/oinFxh6Els2MbPcBnKM0wFAYDVR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDRwAwRAIgFYXsmzUs13sSqBtWIRxAe87w\
    V45puvEemxqGWind/CUCIEJGduBvIX267cUBVWYNw31QzU2ByQGkpyrpngVpfoE2";
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfXHfBhtUit/PEL8GjXOMoXQapxmsEzNqT7zl+qx0072hRANCAATQV4iWLN9c8umq\
    B0cS85cJbikFedy8QWeh6AVKaLfwXFmtlqVW5KYRuZaoMEtE6F07YEdcC2s4d6UbfpcLg1+Q";

fn certificate() -> CertificateDer<'static> {
    STANDARD.decode(CERTIFICATE).expect("base64").into()
}

/// That certificate is believed, and no other.
fn trust() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate())?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

const NOW: Time = Time(1_700_000_000);

/// How a server behaves.
#[derive(Clone, Copy, Default)]
struct Manners {
    /// Said instead of the usual reply to a command that begins so.
    reply: Option<(&'static str, &'static str)>,
    offers_starttls: bool,
    /// Said without end, once it was asked for its extensions.
    babbles: bool,
    hangs: bool,
    /// TLS from the first byte.
    encrypts: bool,
}

type Said = Arc<Mutex<Vec<String>>>;

/// A mail server that keeps what it was told, line by line.
async fn server(manners: Manners) -> (u16, Said) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let (port, said) = (listener.local_addr().expect("bound").port(), Said::default());
    let heard = said.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                if !manners.encrypts {
                    return talk(stream, manners, heard).await;
                }
                lota_http::use_ring();
                let key = PrivateKeyDer::try_from(STANDARD.decode(KEY).expect("base64")).expect("a key");
                let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate()], key);
                let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate")));
                talk(acceptor.accept(stream).await?, manners, heard).await
            });
        }
    });
    (port, said)
}

async fn talk(stream: impl AsyncRead + AsyncWrite, manners: Manners, heard: Said) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.example ESMTP\r\n").await?;
    writer.flush().await?;
    let mut in_data = false;
    while let Some(line) = lines.next_line().await? {
        heard.lock().expect("the lock").push(line.clone());
        if manners.hangs {
            std::future::pending::<()>().await;
        }
        if manners.babbles {
            loop {
                writer.write_all(b"250-MORE\r\n").await?;
                writer.flush().await?;
            }
        }
        if in_data {
            if line == "." {
                in_data = false;
                writer.write_all(b"250 taken\r\n").await?;
                writer.flush().await?;
            }
            continue;
        }
        let reply = match manners.reply {
            Some((command, reply)) if line.starts_with(command) => reply.to_owned(),
            _ if line.starts_with("EHLO") => {
                let more = if manners.offers_starttls { "250-STARTTLS\r\n" } else { "" };
                format!("250-mail.example\r\n{more}250-AUTH PLAIN LOGIN\r\n250 8BITMIME")
            }
            _ if line.starts_with("AUTH") => "235 welcome".to_owned(),
            _ if line.starts_with("DATA") => {
                in_data = true;
                "354 go on".to_owned()
            }
            _ if line.starts_with("QUIT") => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
        writer.flush().await?;
    }
    Ok(())
}

fn settings(port: u16) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::None,
        credentials: None,
        from: "Lota <notary@notary.example>".to_owned(),
        to: vec!["a@notary.example".to_owned(), "Bé <b@notary.example>".to_owned()],
    }
}

fn smtp(settings: SmtpSettings) -> Smtp {
    Smtp::with_clock("mail", settings, Duration::from_secs(10), || NOW).expect("settings")
}

fn alert() -> Alert {
    Alert {
        id: "needs-vote:1".to_owned(),
        at: NOW,
        kind: AlertKind::NeedsVote,
        job: Some(JobId(B256::repeat_byte(0xab))),
        text: "look\r\nBcc: everybody@evil.example\r\n\r\n.\r\nRCPT TO:<evil@evil.example>".to_owned(),
        details: json!({ "missing": 2, "what": "\u{1b}[2J" }),
    }
}

#[tokio::test]
async fn a_mail_arrives_whole_and_nothing_of_an_alert_becomes_a_header_or_a_command() {
    let (port, said) = server(Manners::default()).await;
    let smtp = smtp(settings(port));
    smtp.deliver(&alert()).await.expect("delivered");
    let said = said.lock().expect("the lock").clone();
    let commands: Vec<&String> = said.iter().take_while(|line| *line != "DATA").collect();
    assert!(commands[1].starts_with("MAIL FROM:<notary@notary.example>"), "{commands:?}");
    let recipients = commands.iter().filter(|line| line.starts_with("RCPT TO:")).count();
    assert_eq!(recipients, 2, "{commands:?}");
    let message: Vec<&String> = said.iter().skip_while(|line| *line != "DATA").skip(1).collect();
    let end = message.iter().position(|line| *line == ".").expect("its end");
    assert_eq!(message[end + 1..].iter().map(|line| line.as_str()).collect::<Vec<_>>(), ["QUIT"]);
    let headers: Vec<&str> = message.iter().take_while(|line| !line.is_empty()).map(|line| line.as_str()).collect();
    let named = |name: &str| headers.iter().filter(|line| line.to_ascii_lowercase().starts_with(name)).count();
    assert_eq!((named("bcc:"), named("subject:"), named("to:"), named("message-id:")), (0, 1, 1, 1), "{headers:#?}");
    assert_eq!(named("auto-submitted: auto-generated"), 1, "{headers:#?}");
    assert!(headers.iter().any(|line| line.contains("Tue, 14 Nov 2023 22:13:20")), "{headers:#?}");
    assert!(headers.iter().any(|line| line.starts_with("Subject: [Lota notary] a vote is missing 0xabababab")));
}

#[tokio::test]
async fn the_same_alert_has_the_same_id_and_others_do_not() {
    let (port, said) = server(Manners::default()).await;
    let smtp = smtp(settings(port));
    for id in ["a", "a", "b"] {
        smtp.deliver(&Alert { id: id.to_owned(), ..alert() }).await.expect("delivered");
    }
    let ids: Vec<String> =
        said.lock().expect("the lock").iter().filter(|line| line.starts_with("Message-ID:")).cloned().collect();
    assert_eq!(ids.len(), 3);
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn who_must_log_in_does() {
    let (port, said) = server(Manners::default()).await;
    let with = SmtpSettings { credentials: Some(("me".to_owned(), "secret".to_owned())), ..settings(port) };
    assert!(!format!("{with:?}").contains("secret"));
    smtp(with).deliver(&alert()).await.expect("delivered");
    // base64 of "\0me\0secret"
    assert!(said.lock().expect("the lock").iter().any(|line| line == "AUTH PLAIN AG1lAHNlY3JldA=="));
}

#[tokio::test]
async fn failures_are_final_or_not() {
    let refusals = [
        (("RCPT", "550 no such mailbox"), true),
        (("MAIL", "552 too much"), true),
        (("RCPT", "451 later"), false),
        (("EHLO", "421 busy"), false),
        (("AUTH", "535 wrong password"), false),
    ];
    for (reply, is_final) in refusals {
        let (port, _) = server(Manners { reply: Some(reply), ..Manners::default() }).await;
        let settings = SmtpSettings { credentials: Some(("me".to_owned(), "secret".to_owned())), ..settings(port) };
        let error = smtp(settings).deliver(&alert()).await.expect_err("refused");
        assert_eq!(matches!(error, DeliverError::Permanent(_)), is_final, "{reply:?}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let nobody = crate::testing::nobody().await.port();
    assert!(matches!(smtp(settings(nobody)).deliver(&alert()).await, Err(DeliverError::Temporary(_))));
}

#[tokio::test]
async fn without_tls_nothing_is_said_to_who_should_have_it() {
    for (security, offers_starttls) in [(Security::StartTls, false), (Security::StartTls, true), (Security::Tls, false)]
    {
        // Of those that offer it, this one says something else after it was asked to begin.
        let (port, said) = server(Manners { offers_starttls, ..Manners::default() }).await;
        let settings = SmtpSettings {
            host: "localhost".to_owned(),
            security,
            credentials: Some(("me".to_owned(), "secret".to_owned())),
            ..settings(port)
        };
        let hasty = Smtp::with_clock("mail", settings, Duration::from_secs(2), || NOW).expect("settings");
        let error = hasty.deliver(&alert()).await.expect_err("no TLS");
        assert!(matches!(error, DeliverError::Temporary(_)), "{security:?}: {error}");
        let said = said.lock().expect("the lock").join("\n");
        for secret in ["AUTH", "MAIL", "RCPT", "look"] {
            assert!(!said.contains(secret), "{security:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_babbles_holds_nobody_up() {
    let (port, _) = server(Manners { hangs: true, ..Manners::default() }).await;
    let hasty = Smtp::with_clock("mail", settings(port), Duration::from_millis(300), || NOW).expect("settings");
    assert!(matches!(hasty.deliver(&alert()).await, Err(DeliverError::Temporary(_))));
    let (port, _) = server(Manners { babbles: true, ..Manners::default() }).await;
    let error = smtp(settings(port)).deliver(&alert()).await.expect_err("it never ends");
    assert!(error.to_string().contains("more than"), "{error}");
}

#[tokio::test]
async fn behind_tls_a_server_says_no_more_either() {
    let over_tls = |port| {
        let settings = SmtpSettings { host: "localhost".to_owned(), security: Security::Tls, ..settings(port) };
        Smtp { trust, ..smtp(settings) }
    };
    let (port, said) = server(Manners { encrypts: true, ..Manners::default() }).await;
    over_tls(port).deliver(&alert()).await.expect("delivered");
    assert!(said.lock().expect("the lock").iter().any(|line| line == "DATA"));
    let strict = Smtp { trust: ClientConfig::with_platform_verifier, ..over_tls(port) };
    let error = strict.deliver(&alert()).await.expect_err("nobody else believes it").to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let (port, _) = server(Manners { encrypts: true, babbles: true, ..Manners::default() }).await;
    let error = over_tls(port).deliver(&alert()).await.expect_err("it never ends").to_string();
    assert!(error.contains("more than"), "{error}");
}

#[test]
fn settings_that_would_tell_the_world_are_refused() {
    let refused = |settings: SmtpSettings| Smtp::new("mail", settings).expect_err("refused");
    let far = SmtpSettings { host: "mail.example".to_owned(), ..settings(25) };
    assert!(matches!(refused(far.clone()), SmtpError::Insecure { .. }));
    assert!(Smtp::new("mail", SmtpSettings { security: Security::Tls, ..far }).is_ok());
    assert!(matches!(refused(SmtpSettings { to: vec![], ..settings(25) }), SmtpError::Recipients { count: 0 }));
    for address in ["", "nobody", "a@b\r\nBcc: c@d", "<a@b> <c@d>"] {
        let settings = SmtpSettings { to: vec![address.to_owned()], ..settings(25) };
        assert!(matches!(refused(settings), SmtpError::Address { .. }), "{address:?}");
    }
}
