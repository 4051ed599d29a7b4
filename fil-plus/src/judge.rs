//! From what is known about a CID to an answer. Pure: what is known and the time are arguments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    answer::{Answer, Certainty, ClaimEvidence, ClaimState, ListEvidence, ReportEvidence, timestamp},
    fact::{EPOCH_SECONDS, Kind},
    store::{ClaimRow, ListedRow, MAX_CLAIMS, ReportRow},
    subject::Subject,
};
use lota_content::piece::{PieceCid, PieceRoot};

/// A chain node whose word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    pub name: String,
    /// Unix seconds of epoch 0; none: its epochs have no times.
    pub genesis_time: Option<u64>,
    /// The epoch at which all that it knows was read last; none: it never was.
    pub complete: Option<u64>,
    /// The epochs from and to which all events of claims were read; none: they are not.
    pub followed: Option<(u64, u64)>,
    /// Why its word is old, if it is.
    pub stale: Option<String>,
}

/// What is known about a CID.
pub struct Known<'a> {
    /// Chain nodes by their origin's number; what others said does not count.
    pub witnesses: &'a HashMap<i64, Witness>,
    pub claims: &'a HashMap<PieceRoot, Vec<ClaimRow>>,
    pub reports: Vec<&'a ReportRow>,
    pub listed: Vec<&'a ListedRow>,
    /// What could not be looked at.
    pub caveats: Vec<String>,
    /// How much of each kind of evidence is shown.
    pub shown: usize,
    /// Unix seconds.
    pub now: u64,
}

/// What all chain nodes say about one claim.
struct Judged<'a> {
    row: &'a ClaimRow,
    state: ClaimState,
    sources: Vec<String>,
    /// Unix seconds of the youngest word that says the same; none: its chain has no times.
    as_of: Option<u64>,
}

/// What is wrong, or only said.
#[derive(Default)]
struct Notes {
    contradictions: BTreeSet<String>,
    caveats: BTreeSet<String>,
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Claim => "claim",
        Kind::Allocation => "allocation",
    }
}

/// Puts together what chain nodes say about one claim.
fn judge_claim<'a>(
    rows: &[&'a ClaimRow],
    size_log2: Option<u8>,
    known: &Known<'_>,
    notes: &mut Notes,
) -> Option<Judged<'a>> {
    // The newest word holds; of equally new ones that of the node that is named first.
    let newest = rows.iter().copied().reduce(|best, row| if row.fact.newer_than(&best.fact) { row } else { best })?;
    let fact = &newest.fact;
    let witness = |row: &ClaimRow| known.witnesses.get(&row.origin);
    let name = |row: &ClaimRow| witness(row).map_or("?", |witness| witness.name.as_str()).to_owned();
    let kind = word(fact.kind);
    let mut disputed = false;
    for row in rows.iter().filter(|row| !row.fact.agrees(fact)) {
        disputed = true;
        notes.contradictions.insert(format!(
            "{kind} {}: {} and {} disagree about its piece, parties, size or term",
            fact.id,
            name(newest),
            name(row)
        ));
    }
    if size_log2.is_some_and(|size| size != fact.size_log2) {
        disputed = true;
        notes.contradictions.insert(format!(
            "{kind} {} is of {} bytes, which is not the size in the CID: the same commitment cannot have both",
            fact.id,
            1u64 << fact.size_log2
        ));
    }
    let gone = rows.iter().any(|row| row.gone_by.is_some_and(|epoch| epoch > fact.as_of));
    let over =
        witness(newest).and_then(|witness| witness.genesis_time).map_or(fact.as_of >= fact.over_at(), |genesis| {
            known.now.saturating_sub(genesis) / EPOCH_SECONDS >= fact.over_at()
        });
    let mut state = match (fact.removed, gone, over) {
        (true, ..) => ClaimState::Removed,
        (_, true, _) => ClaimState::Vanished,
        (_, _, true) => ClaimState::Expired,
        _ => ClaimState::Active,
    };
    // A node that has read everything must know a claim that it is told of by another.
    if state == ClaimState::Active && fact.kind == Kind::Claim {
        for (number, witness) in known.witnesses {
            let reached = witness.complete.is_some_and(|epoch| epoch >= fact.as_of);
            if reached && rows.iter().all(|row| row.origin != *number) {
                disputed = true;
                notes.contradictions.insert(format!(
                    "claim {}: {} has it, and {}, all of whose claims were read, has not",
                    fact.id,
                    name(newest),
                    witness.name
                ));
            }
        }
    }
    if disputed && state == ClaimState::Active {
        state = ClaimState::Disputed;
    }
    let mut sources: Vec<String> = rows.iter().map(|row| name(row)).collect();
    sources.sort();
    if let Some(stale) = witness(newest).and_then(|witness| witness.stale.as_ref()) {
        notes.caveats.insert(stale.clone());
    }
    let agreeing = rows.iter().filter(|row| row.fact.agrees(fact) && row.fact.removed == fact.removed);
    let as_of = agreeing.filter_map(|row| said_at(row, witness(row)?)).max();
    Some(Judged { row: newest, state, sources, as_of })
}

/// The time for which a word about a claim holds: if all events since then were read, the last of them would have told of its removal.
fn said_at(row: &ClaimRow, witness: &Witness) -> Option<u64> {
    let fact = &row.fact;
    let followed = witness.followed.filter(|(since, _)| fact.kind == Kind::Claim && *since <= fact.as_of);
    let epoch = followed.map_or(fact.as_of, |(_, to)| fact.as_of.max(to));
    Some(witness.genesis_time?.saturating_add(epoch.saturating_mul(EPOCH_SECONDS)))
}

fn evidence(judged: &Judged<'_>, known: &Known<'_>) -> ClaimEvidence {
    let fact = &judged.row.fact;
    let genesis = known.witnesses.get(&judged.row.origin).and_then(|witness| witness.genesis_time);
    let is_claim = fact.kind == Kind::Claim;
    ClaimEvidence {
        kind: word(fact.kind).to_owned(),
        id: fact.id,
        state: judged.state,
        piece: fact.piece.to_string(),
        size: 1u64.checked_shl(fact.size_log2.into()).unwrap_or_default(),
        provider: format!("f0{}", fact.provider),
        client: format!("f0{}", fact.client),
        sector: is_claim.then_some(fact.sector),
        term_min: fact.term_min,
        term_max: fact.term_max,
        term_start: is_claim.then_some(fact.start),
        over_at: fact.over_at(),
        over_at_time: genesis
            .map(|genesis| timestamp(genesis.saturating_add(fact.over_at().saturating_mul(EPOCH_SECONDS)))),
        as_of_epoch: fact.as_of,
        sources: judged.sources.clone(),
        seen: timestamp(judged.row.seen),
    }
}

/// The claims of a piece, each as all chain nodes have it.
fn judge_piece<'a>(
    piece: PieceRoot,
    size_log2: Option<u8>,
    known: &Known<'a>,
    notes: &mut Notes,
) -> (Vec<Judged<'a>>, bool) {
    let rows = known.claims.get(&piece).map_or(&[][..], Vec::as_slice);
    let mut by_id: BTreeMap<(u64, Kind), Vec<&'a ClaimRow>> = BTreeMap::new();
    let is_cut = rows.iter().map(|row| (row.fact.id, row.fact.kind)).collect::<BTreeSet<_>>().len() > MAX_CLAIMS;
    for row in rows.iter().filter(|row| known.witnesses.contains_key(&row.origin)) {
        by_id.entry((row.fact.id, row.fact.kind)).or_default().push(row);
    }
    for rows in by_id.values_mut() {
        rows.sort_by_key(|row| row.origin);
    }
    let claimed: BTreeSet<u64> = by_id.keys().filter(|(_, kind)| *kind == Kind::Claim).map(|(id, _)| *id).collect();
    let judged = by_id.iter().filter_map(|((id, kind), rows)| {
        let mut judged = judge_claim(rows, size_log2, known, notes)?;
        if *kind == Kind::Allocation && claimed.contains(id) {
            judged.state = ClaimState::Claimed;
        }
        Some(judged)
    });
    (judged.collect(), is_cut)
}

/// The answer about a CID, as it was written.
#[must_use]
pub fn judge(text: &str, subject: &Subject, known: &Known<'_>) -> Answer {
    let mut notes = Notes::default();
    notes.caveats.extend(known.caveats.iter().cloned());
    let (pieces, size_log2): (BTreeSet<PieceRoot>, _) = match subject {
        Subject::Piece(piece) => (BTreeSet::from([piece.root()]), size_log2(piece)),
        Subject::Payload { .. } => (known.reports.iter().map(|report| report.piece).collect(), None),
    };
    let (mut claims, mut more) = (Vec::new(), false);
    for piece in &pieces {
        let (judged, cut) = judge_piece(*piece, size_log2, known, &mut notes);
        compare_reports(*piece, &judged, known, &mut notes);
        claims.extend(judged);
        more |= cut;
    }
    let has =
        |kind: Kind, state: ClaimState| claims.iter().any(|claim| claim.row.fact.kind == kind && claim.state == state);
    let self_reported = known.reports.iter().any(|report| report.verified_deal);
    let verified = has(Kind::Claim, ClaimState::Active);
    let ended = claims.iter().any(|claim| {
        claim.row.fact.kind == Kind::Claim && !matches!(claim.state, ClaimState::Active | ClaimState::Disputed)
    });
    let certainty = if verified {
        Certainty::Verified
    } else if has(Kind::Claim, ClaimState::Disputed) || (!ended && !notes.contradictions.is_empty()) {
        Certainty::Contradicted
    } else if ended {
        Certainty::Ended
    } else if has(Kind::Allocation, ClaimState::Active) {
        Certainty::Allocated
    } else if self_reported {
        Certainty::SelfReported
    } else if !known.listed.is_empty() {
        Certainty::Listed
    } else {
        Certainty::Unknown
    };
    if matches!(subject, Subject::Payload { .. }) && !claims.is_empty() {
        notes.caveats.insert(
            "that the payload is in the piece is the advertiser's word; the claims are about the piece".to_owned(),
        );
    }
    if known.witnesses.is_empty() {
        notes.caveats.insert("no chain node is read: nothing can be verified".to_owned());
    }
    let reason = reason(certainty, &claims, known);
    let rests_on = |claim: &&Judged<'_>| match (certainty, claim.row.fact.kind) {
        (Certainty::Verified, Kind::Claim) | (Certainty::Allocated, Kind::Allocation) => {
            claim.state == ClaimState::Active
        }
        (Certainty::Ended, Kind::Claim) => true,
        _ => false,
    };
    let as_of = claims.iter().filter(rests_on).filter_map(|claim| claim.as_of).max();
    // What counts most first.
    claims.sort_by_key(|claim| {
        (claim.state != ClaimState::Active, claim.row.fact.kind, std::cmp::Reverse(claim.row.fact.id))
    });
    more |= claims.len() > known.shown;
    let longest = [pieces.len(), known.reports.len(), known.listed.len(), notes.contradictions.len()].into_iter().max();
    Answer {
        cid: text.to_owned(),
        certainty,
        reason,
        as_of: as_of.map(timestamp),
        age: as_of.map(|as_of| known.now.saturating_sub(as_of)),
        old: false,
        pieces: pieces.iter().take(known.shown).map(ToString::to_string).collect(),
        claims: claims.iter().take(known.shown).map(|claim| evidence(claim, known)).collect(),
        more_claims: more,
        reports: known.reports.iter().take(known.shown).map(|row| report(row)).collect(),
        more_evidence: longest.is_some_and(|longest| longest > known.shown),
        lists: known.listed.iter().take(known.shown).map(|row| listing(row)).collect(),
        contradictions: notes.contradictions.into_iter().take(known.shown).collect(),
        caveats: notes.caveats.into_iter().collect(),
    }
}

/// log2 of the piece's padded bytes, if its CID tells it.
fn size_log2(piece: &PieceCid) -> Option<u8> {
    piece.commitment().and_then(|piece| u8::try_from(piece.padded_size().trailing_zeros()).ok())
}

/// What indexes say about a piece, beside what chains say.
fn compare_reports(piece: PieceRoot, claims: &[Judged<'_>], known: &Known<'_>, notes: &mut Notes) {
    let reports = || known.reports.iter().filter(|report| report.piece == piece);
    let sources = |verified: bool| {
        let names: BTreeSet<&str> =
            reports().filter(|report| report.verified_deal == verified).map(|report| report.source.as_str()).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    };
    let any = claims.iter().any(|claim| claim.row.fact.kind == Kind::Claim);
    let active = claims.iter().any(|claim| claim.row.fact.kind == Kind::Claim && claim.state == ClaimState::Active);
    let complete = known.witnesses.values().find_map(|witness| Some((witness, witness.complete?)));
    match (sources(true), complete) {
        (Some(index), Some((witness, epoch))) if !any => {
            notes.contradictions.insert(format!(
                "{index} says that {piece} is in a verified deal; {} had no claim of it at epoch {epoch}",
                witness.name
            ));
        }
        (Some(index), _) if any && !active => {
            notes
                .contradictions
                .insert(format!("{index} says that {piece} is in a verified deal; its claims have ended"));
        }
        _ => {}
    }
    if let Some(index) = sources(false).filter(|_| active && sources(true).is_none()) {
        notes
            .contradictions
            .insert(format!("{index} says that {piece} is in no verified deal; there is a claim of it"));
    }
}

fn reason(certainty: Certainty, claims: &[Judged<'_>], known: &Known<'_>) -> String {
    let count = |kind: Kind, states: &[ClaimState]| {
        let count = claims.iter().filter(|claim| claim.row.fact.kind == kind && states.contains(&claim.state)).count();
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {}{plural}", word(kind))
    };
    let as_of = claims.iter().map(|claim| claim.row.fact.as_of).max().unwrap_or_default();
    match certainty {
        Certainty::Verified => {
            format!("{} on chain, as of epoch {as_of}", count(Kind::Claim, &[ClaimState::Active]))
        }
        Certainty::Contradicted => "the evidence contradicts itself; see the contradictions".to_owned(),
        Certainty::Ended => format!(
            "{} that ended, as of epoch {as_of}",
            count(Kind::Claim, &[ClaimState::Expired, ClaimState::Removed, ClaimState::Vanished])
        ),
        Certainty::Allocated => {
            format!(
                "{} that no provider has claimed, as of epoch {as_of}",
                count(Kind::Allocation, &[ClaimState::Active])
            )
        }
        Certainty::SelfReported => {
            "an index says so, in the words of whoever advertised it; no claim is known".to_owned()
        }
        Certainty::Listed => "a trusted list names it; no claim is known".to_owned(),
        Certainty::Unknown if known.witnesses.values().any(|witness| witness.complete.is_some()) => {
            "no claim, no index and no list names it".to_owned()
        }
        Certainty::Unknown => "no claim that was read names it; not all claims were read".to_owned(),
    }
}

fn report(row: &ReportRow) -> ReportEvidence {
    ReportEvidence {
        source: row.source.clone(),
        peer: row.peer.clone(),
        piece: row.piece.to_string(),
        verified_deal: row.verified_deal,
        seen: timestamp(row.seen),
    }
}

fn listing(row: &ListedRow) -> ListEvidence {
    ListEvidence {
        source: row.source.clone(),
        list: row.list.clone(),
        issued: timestamp(row.issued),
        note: row.note.clone(),
    }
}

#[cfg(test)]
mod tests;
