//! The jobs and outputs of the fake desk.

use std::collections::BTreeMap;

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    blessing::{Choice, End, Nomination, Phase},
    model::JobId,
};
use lota_notary::{
    desk::{
        Asked, Decision, Dossier, EntryKind, Happened, LookedAt, MAX_SHOWN, OtherAnswer, OutputEntry, OutputNode,
        Stage, Vote, VoteState,
    },
    review::{Check, Outcome, Question, Risk, SettledJob},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{NOW, evidence, key};

pub const DATACAP: Address = Address::repeat_byte(0xdc);
pub const FILECOIN_PAY: Address = Address::repeat_byte(0xf1);

/// What breaks out of text, attributes, scripts and lines, moves what is beside it, and looks like our own words.
pub const HOSTILE: &str = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'` onmouseover=alert(3) \
    <svg/onload=alert(4)>{{7*7}}${7*7}\u{202e}\u{2066}\u{200b}\u{0}\r\nSet-Cookie: a=b\r\njavascript:alert(5)<!--<base href=//evil.example>";

fn hash(text: &str) -> B256 {
    B256::from_slice(&Sha256::digest(text.as_bytes()))
}

fn account(text: &str) -> Address {
    Address::from_slice(&hash(text)[..20])
}

type Found = (Question, Outcome, &'static str, Vec<lota_notary::review::Evidence>);

fn found(worse: &[Found]) -> Vec<Check> {
    let claim = "claim 51234 of f01234567 (client f02049625, until epoch 6,120,000), seen at 2026-11-21 18:04 UTC on 2 of 2 chain nodes";
    let good: Vec<Found> = vec![
        (
            Question::FilPlusData,
            Outcome::Passed,
            "All of it (2 inputs) is verified by claims on chain.",
            vec![
                evidence("/in/corpus.car (bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi)", "verified"),
                evidence("because", claim),
                evidence("/in/stopwords.txt (bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy)", "verified"),
                evidence(
                    "because",
                    "in piece baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq, which the first claim is for",
                ),
            ],
        ),
        (Question::ExitCode, Outcome::Passed, "It ended with exit code 0.", vec![evidence("exit code", 0)]),
        (
            Question::OutputRetrievable,
            Outcome::Passed,
            "All of it was fetched, and each block is what its CID says.",
            vec![evidence("bytes", 18_204)],
        ),
        (
            Question::ReExecution,
            Outcome::Passed,
            "Another run gave the same output, exit code and fuel.",
            vec![evidence("fuel", 91_337_204)],
        ),
        (Question::Duplicate, Outcome::Passed, "No.", vec![]),
        (
            Question::SameParty,
            Outcome::Passed,
            "They are two accounts. Whether one person holds both keys no chain can tell.",
            vec![],
        ),
        (Question::Circle, Outcome::Passed, "No way was found by which money came back.", vec![]),
        (
            Question::ProviderShare,
            Outcome::Noted,
            "Too few blessings to say.",
            vec![evidence("blessings in the period", 3)],
        ),
        (
            Question::ClientShare,
            Outcome::Noted,
            "Too few blessings to say.",
            vec![evidence("blessings in the period", 3)],
        ),
        (
            Question::PairVolume,
            Outcome::Noted,
            "12.4 FIL for 9 jobs.",
            vec![evidence("first", "2026-09-30"), evidence("last", "2026-11-21")],
        ),
        (Question::Age, Outcome::Passed, "Both for more than 7 d.", vec![]),
    ];
    good.into_iter()
        .map(|it| worse.iter().find(|other| other.0 == it.0).cloned().unwrap_or(it))
        .map(|(question, outcome, answer, evidence)| Check { question, outcome, answer: answer.into(), evidence })
        .collect()
}

fn dossier(name: &str, age: u64, stage: Stage, worse: &[Found], amount: Option<(Address, U256)>) -> Dossier {
    let id = JobId(hash(name));
    let (client, provider) = (account(&format!("client of {name}")), account(&format!("provider of {name}")));
    let settled_at = Time(NOW.0 - age);
    let checks = found(worse);
    let nomination = amount.map(|(granter, amount)| Nomination {
        job: id,
        round: 1,
        client,
        provider,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        nominator: account("the service"),
        granter,
        recipient: Bytes::copy_from_slice(&[&[4, 10][..], provider.as_slice()].concat()),
        amount,
        piece: hash(&format!("piece of {name}")),
        piece_size: 34_359_738_368,
        share: AttoFil(120_000_000_000_000_000),
        bounty: AttoFil(0),
        expires: Time(settled_at.0 + 7 * 86_400),
    });
    let mut happened =
        vec![Happened { at: settled_at, what: "settled".into(), transaction: Some(hash("settled")), is_final: true }];
    if nomination.is_some() {
        let at = settled_at.after(600);
        happened.push(Happened {
            at,
            what: "nominated by this service".into(),
            transaction: Some(hash("nominated")),
            is_final: true,
        });
    }
    let phase = match stage {
        Stage::Voting => Phase::Nominated,
        Stage::Blessed | Stage::Due => Phase::Blessed,
        Stage::Granted => Phase::Granted,
        _ => Phase::None,
    };
    Dossier {
        job: SettledJob {
            job: id,
            client,
            provider,
            price: AttoFil(1_250_000_000_000_000_000),
            settled_at,
            spec: hash(&format!("spec of {name}")),
            output: hash(&format!("output of {name}")),
            exit_code: 0,
        },
        stage,
        risk: Risk::of(&checks),
        checks,
        spec: Some(json!({
            "engine": { "wasm": { "module": "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "fuel": 200_000_000_u64, "memory": "256 MiB" } },
            "args": ["--top", "100", "--language", "en"],
            "inputs": [
                { "cid": "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", "path": "/in/corpus.car" },
                { "cid": "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "path": "/in/stopwords.txt" },
            ],
            "outputs": ["/out"],
        })),
        output: "bafybeihkoviema7g3gxyt6la7vd5ho32ictqbilu3wnlo3rs7ewhnp7lly".into(),
        nomination,
        policy_amount: None,
        not_nominated: None,
        phase,
        approvals: 0,
        against: 0,
        revocations: 0,
        piece: None,
        voters: vec![],
        votes: vec![],
        happened,
        availability: vec![evidence(
            "data set 77, root 3",
            "proved at 2026-11-22 06:00 UTC; 14 of 14 periods without a fault",
        )],
        looked_at: LookedAt {
            inputs: Some(Time(NOW.0 - age + 60)),
            output: Some(Time(NOW.0 - age + 120)),
            re_execution: None,
            proofs: Some(Time(NOW.0 - 240)),
        },
        asked: None,
        payment: None,
    }
}

fn vote(notary: u8, choice: Choice, text: &str) -> Vote {
    Vote {
        round: 1,
        notary: key(notary).address(),
        choice,
        reasons: hash(text),
        text: Some(text.into()),
        at: Time(NOW.0 - 7_200),
        state: VoteState::Landed { transaction: Some(hash(text)), is_final: true },
    }
}

/// Jobs as they may be.
pub fn plain() -> Vec<Dossier> {
    let gib = |number: u64| U256::from(number) << 30;
    let fil = |tenths: u128| U256::from(tenths * 100_000_000_000_000_000);
    let hour = 3_600;
    let mut first = dossier("word count", 30 * hour, Stage::Voting, &[], Some((DATACAP, gib(32))));
    first.votes.push(vote(2, Choice::Approve, "Claims checked on two nodes, output read.\nThe re-run agrees."));
    first.piece = Some("bafkzcibe4wleef7l26mkvixhs2b2o7ezb4gv4zzhxnmzlxcdfhehzqoebifa".into());
    (first.approvals, first.voters) = (1, vec![key(2).address()]);
    // Who voted is told when it is decided, too, and no vote counts for another decision.
    let blessed = |mut dossier: Dossier| {
        dossier.votes =
            vec![vote(1, Choice::Approve, "The re-run agrees."), vote(3, Choice::Approve, "As the others say.")];
        dossier.approvals = 2;
        dossier
    };
    let circle: Vec<Found> = vec![
        (
            Question::FilPlusData,
            Outcome::Warning,
            "1 of 2 inputs are verified by claims on chain.",
            vec![
                evidence("/in/a.car (bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi)", "self-reported"),
                evidence("because", "an index says so (IPNI, metadata 0x0910); no claim confirms it"),
            ],
        ),
        (
            Question::Circle,
            Outcome::Failed,
            "Up to 64.00 % of what the client paid this provider came back.",
            vec![
                evidence("way", "provider -> 0x91b2…77aa -> client"),
                evidence("most that can have gone it", "7.9 FIL"),
            ],
        ),
        (Question::Age, Outcome::Warning, "The client for 2 d.", vec![]),
    ];
    let young: Vec<Found> = vec![(Question::ReExecution, Outcome::Unknown, "It was not run again yet.", vec![])];
    let mut ended = dossier("image filter", 400 * hour, Stage::Ended(End::Refused), &circle, Some((DATACAP, gib(64))));
    ended.votes = vec![vote(2, Choice::Reject, "The money came back."), vote(3, Choice::Reject, "A circle.")];
    ended.against = 2;
    let repeated: Vec<Found> = vec![(
        Question::Duplicate,
        Outcome::Warning,
        "Not that is known; but an earlier settled job had the same.",
        vec![evidence("the same spec", hash("before"))],
    )];
    let mut unnominated = dossier("sat", 5 * hour, Stage::NotNominated, &young, None);
    unnominated.not_nominated = Some("the provider has said of no recipient for this granter".into());
    vec![
        first,
        dossier("climate means", 52 * hour, Stage::Voting, &circle, Some((FILECOIN_PAY, fil(75)))),
        dossier("transcoding", 3 * hour, Stage::Voting, &young, Some((FILECOIN_PAY, fil(12)))),
        dossier("genome index", 20 * hour, Stage::Voting, &repeated, Some((DATACAP, gib(8)))),
        blessed(dossier("tile server", 90 * hour, Stage::Blessed, &[], Some((DATACAP, gib(16))))),
        unnominated,
        dossier("aggregate", hour / 2, Stage::Gathering, &young, None),
        blessed(dossier("sorting", 300 * hour, Stage::Granted, &[], Some((DATACAP, gib(32))))),
        ended,
    ]
}

/// Another notary that was asked.
pub fn asked(answer: Option<OtherAnswer>) -> Asked {
    let server = if answer.is_some() { HOSTILE.into() } else { "notary.example:8443".into() };
    Asked { round: 1, server, at: Time(NOW.0 - 7_200), answer_by: Time(NOW.0 + 86_400), is_sent: false, answer }
}

/// A job with an attack in each text that a stranger may write.
pub fn hostile(mut dossier: Dossier) -> Dossier {
    for check in &mut dossier.checks {
        check.answer = HOSTILE.into();
        check.evidence = vec![evidence(HOSTILE, HOSTILE)];
    }
    let mut deep = json!(HOSTILE);
    for _ in 0..100 {
        deep = json!({ HOSTILE: [deep] });
    }
    dossier.spec = Some(deep);
    dossier.output = HOSTILE.into();
    dossier.not_nominated = Some(HOSTILE.into());
    dossier.availability = vec![evidence(HOSTILE, HOSTILE)];
    dossier.asked = Some(asked(Some(OtherAnswer {
        key: HOSTILE.into(),
        decision: Decision::Refused,
        amount: None,
        reason: HOSTILE.repeat(100),
        transaction: Some(HOSTILE.into()),
        at: Time(u64::MAX),
    })));
    for vote in &mut dossier.votes {
        vote.text = Some(HOSTILE.into());
        vote.state = VoteState::Refused { why: HOSTILE.into() };
    }
    dossier.happened =
        vec![Happened { at: Time(u64::MAX), what: HOSTILE.into(), transaction: None, is_final: false }; 500];
    dossier
}

/// What files are called by.
const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

fn file(bytes: &[u8]) -> OutputNode {
    let begin = &bytes[..bytes.len().min(usize::try_from(MAX_SHOWN).unwrap())];
    OutputNode::File { size: bytes.len() as u64, begin: Bytes::copy_from_slice(begin), cid: CID.into() }
}

/// A small PNG: a gradient, stored without compression.
pub fn png() -> Vec<u8> {
    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }
    let (width, height) = (240_u32, 120_u32);
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0);
        for x in 0..width {
            rows.extend([u8::try_from(x).unwrap(), u8::try_from(y * 2).unwrap(), 160]);
        }
    }
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &rows).unwrap();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", header), (b"IDAT", packed.finish().unwrap()), (b"IEND", vec![])] {
        let body = [&name[..], &data].concat();
        png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        png.extend(&body);
        png.extend(crc(&body).to_be_bytes());
    }
    png
}

/// One that is larger than what is shown of a file at once.
pub fn large_png() -> Vec<u8> {
    // What is behind an image's end is not looked at.
    [png(), vec![7; 400_000]].concat()
}

fn listing(files: &BTreeMap<String, OutputNode>) -> OutputNode {
    let entries = files
        .iter()
        .filter(|(name, _)| !name.contains('/'))
        .map(|(name, node)| {
            let size = match node {
                OutputNode::File { size, .. } => Some(*size),
                OutputNode::Directory { .. } => None,
            };
            let kind = if size.is_some() { EntryKind::File } else { EntryKind::Directory };
            OutputEntry { name: name.clone(), kind, size }
        })
        .collect();
    OutputNode::Directory { entries, more: false }
}

/// An output as it may be.
pub fn output() -> BTreeMap<String, OutputNode> {
    let words =
        "word,count,share\nthe,184203,0.0612\nof,97120,0.0323\nand,90114,0.0299\nto,80200,0.0266\n\"a, b\",7,0.0000\n";
    let mut files = BTreeMap::from([
        ("counts.csv".to_owned(), file(words.as_bytes())),
        ("log.txt".to_owned(), file("read 2 inputs\ncounted 3,009,441 words in 91,337,204 fuel\ndone\n".as_bytes())),
        ("plot.png".to_owned(), file(&png())),
        ("photo.png".to_owned(), file(&large_png())),
        ("sums.csv".to_owned(), file(b"name;sum\n\"a;b\";1,5\n")),
        ("latin-1.txt".to_owned(), file(b"Stra\xdfe, caf\xe9\n")),
        ("index.bin".to_owned(), file(&(0..=255).collect::<Vec<u8>>())),
        ("parts/part-1.txt".to_owned(), file(b"part one\n")),
    ]);
    let part = OutputEntry { name: "part-1.txt".into(), kind: EntryKind::File, size: Some(9) };
    let link = OutputEntry { name: "part-2.txt".into(), kind: EntryKind::Link, size: None };
    let lost = OutputEntry { name: "part-3.txt".into(), kind: EntryKind::Unknown, size: None };
    files.insert("parts".into(), OutputNode::Directory { entries: vec![part, link, lost], more: true });
    files.insert(String::new(), listing(&files));
    files
}

/// An output that wants to be run.
pub fn hostile_output() -> BTreeMap<String, OutputNode> {
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"><script>alert(2)</script></svg>";
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]);
    let polyglot = [&png()[..], b"<script>alert(1)</script>"].concat();
    let mut files = BTreeMap::from([
        ("page.html".to_owned(), file(HOSTILE.as_bytes())),
        ("image.svg".to_owned(), file(svg)),
        ("image.png".to_owned(), file(svg)),
        ("bomb.png".to_owned(), file(&bomb)),
        ("polyglot.html".to_owned(), file(&polyglot)),
        ("script.js".to_owned(), file(b"alert(1)")),
        ("cells.csv".to_owned(), file(format!("{HOSTILE},=cmd|' /C calc'!A0\n\"{HOSTILE}\n").repeat(5_000).as_bytes())),
        (HOSTILE.to_owned(), file(HOSTILE.as_bytes())),
        (
            "huge.txt".to_owned(),
            OutputNode::File {
                size: u64::MAX,
                begin: "\u{202e}x\n".repeat(50_000).into_bytes().into(),
                cid: HOSTILE.into(),
            },
        ),
        ("cut.txt".to_owned(), OutputNode::File { size: 9, begin: Bytes::from_static(b"a\xc3"), cid: CID.into() }),
    ]);
    files.insert(String::new(), listing(&files));
    let many = (0..5_000).map(|number| OutputEntry {
        name: format!("{HOSTILE}{number}"),
        kind: if number % 2 == 0 { EntryKind::Directory } else { EntryKind::File },
        size: None,
    });
    files.insert("many".into(), OutputNode::Directory { entries: many.collect(), more: true });
    files
}
