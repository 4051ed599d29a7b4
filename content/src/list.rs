//! Listing directories, one entry at a time.

use std::collections::VecDeque;

use cid::Cid;
use futures::stream::{Stream, StreamExt as _, TryStreamExt as _, try_unfold};

use crate::dagpb::Link;
use crate::node::{DagError, Node, ShardNode, load};
use crate::source::BlockSource;
use crate::unixfs::name_hash;

/// An entry of a directory, as the directory states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name. In a directory made by a stranger this can be any text.
    pub name: String,
    pub cid: Cid,
    /// Bytes of the DAG below it, as the directory's author states them (`Tsize`); unchecked.
    pub dag_size: u64,
}

/// Why a directory cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A block cannot be read.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// The CID names something else.
    #[error("{cid} is not a directory")]
    NotADirectory {
        /// What is no directory.
        cid: Box<Cid>,
    },
}

/// Streams the entries of a directory. A plain one is sorted by name, a sharded one by the hash of
/// the names. Memory: one node for each level of shards.
pub fn list<S: BlockSource>(source: S, cid: &Cid) -> impl Stream<Item = Result<DirEntry, ListError>> + Send + use<S> {
    list_after(source, cid, None)
}

/// As [`list`], beginning behind the entry `after`, without reading what comes before.
pub fn list_after<S: BlockSource>(
    source: S,
    cid: &Cid,
    after: Option<&str>,
) -> impl Stream<Item = Result<DirEntry, ListError>> + Send + use<S> {
    let walk = Walk { source, state: State::Start(*cid), after: after.map(|name| (name_hash(name), name.to_owned())) };
    try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|entry| (entry, walk))) })
}

/// One page of a directory: at most `limit` entries behind the entry `after`. The next page begins
/// behind the last name of this one; a page with less than `limit` entries is the last.
///
/// # Errors
/// [`ListError`].
pub async fn list_page<S: BlockSource>(
    source: S,
    cid: &Cid,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DirEntry>, ListError> {
    list_after(source, cid, after).boxed().take(limit).try_collect().await
}

enum State {
    Start(Cid),
    Flat(std::vec::IntoIter<Link>),
    Sharded(Vec<Shard>),
}

/// A node of a sharded directory whose links are being taken.
struct Shard {
    cid: Cid,
    node: ShardNode,
    links: VecDeque<Link>,
    /// Bits of the hash that the nodes above have used.
    used: u32,
    /// Whether this node lies on the way to the entry that the listing begins behind.
    on_edge: bool,
}

struct Walk<S> {
    source: S,
    state: State,
    /// Hash and name of the entry that the listing begins behind.
    after: Option<(u64, String)>,
}

impl<S: BlockSource> Walk<S> {
    async fn next(&mut self) -> Result<Option<DirEntry>, ListError> {
        loop {
            match &mut self.state {
                State::Start(cid) => {
                    let cid = *cid;
                    self.state = match load(&self.source, &cid).await? {
                        Node::Directory(mut links) => {
                            if let Some((_, after)) = &self.after {
                                let seen = links.iter().position(|link| link.name == *after);
                                match seen {
                                    Some(seen) => drop(links.drain(..=seen)),
                                    None => links.retain(|link| link.name > *after),
                                }
                            }
                            State::Flat(links.into_iter())
                        }
                        Node::Shard(node) => State::Sharded(vec![open(cid, node, 0, self.after.is_some())?]),
                        _ => return Err(ListError::NotADirectory { cid: Box::new(cid) }),
                    };
                }
                State::Flat(links) => {
                    return Ok(links.next().map(|link| DirEntry {
                        name: link.name,
                        cid: link.cid,
                        dag_size: link.tsize,
                    }));
                }
                State::Sharded(shards) => {
                    let Some(shard) = shards.last_mut() else {
                        return Ok(None);
                    };
                    let Some(link) = shard.links.pop_front() else {
                        shards.pop();
                        continue;
                    };
                    let Some((bucket, name)) = shard.node.split(&link) else {
                        return Err(DagError::malformed(
                            &shard.cid,
                            format!("its link {:?} does not begin with a bucket", link.name),
                        )
                        .into());
                    };
                    let mut on_edge = false;
                    if shard.on_edge
                        && let Some((hash, _)) = &self.after
                    {
                        let edge = *hash << shard.used >> (u64::BITS - shard.node.bits);
                        if bucket < edge {
                            continue;
                        }
                        on_edge = bucket == edge;
                    }
                    if !name.is_empty() {
                        let entry = DirEntry { name: name.to_owned(), cid: link.cid, dag_size: link.tsize };
                        if on_edge
                            && self
                                .after
                                .as_ref()
                                .is_some_and(|(hash, after)| (name_hash(&entry.name), &entry.name) <= (*hash, after))
                        {
                            continue;
                        }
                        return Ok(Some(entry));
                    }
                    let used = shard.used + shard.node.bits;
                    match load(&self.source, &link.cid).await? {
                        // each shard leads to an entry, so the work is bounded by the entries
                        Node::Shard(node) if !node.links.is_empty() => {
                            shards.push(open(link.cid, node, used, on_edge)?);
                        }
                        _ => {
                            return Err(DagError::malformed(
                                &link.cid,
                                "it stands in for a shard of a directory and is none",
                            )
                            .into());
                        }
                    }
                }
            }
        }
    }
}

fn open(cid: Cid, mut node: ShardNode, used: u32, on_edge: bool) -> Result<Shard, DagError> {
    if used + node.bits > u64::BITS {
        return Err(DagError::malformed(&cid, "its directory is sharded deeper than the hash of a name"));
    }
    let links = std::mem::take(&mut node.links).into();
    Ok(Shard { cid, node, links, used, on_edge })
}

#[cfg(test)]
mod tests;
