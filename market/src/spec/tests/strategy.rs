//! Random good specs.

use cid::{Cid, multihash::Multihash};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};

use super::*;

fn links() -> impl Strategy<Value = Link> {
    (any::<[u8; 32]>(), prop::bool::ANY).prop_map(|(digest, raw)| {
        let hash = Multihash::wrap(0x12, &digest).expect("32 bytes fit");
        Link(Cid::new_v1(if raw { 0x55 } else { 0x70 }, hash))
    })
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>().prop_map(|text| text.replace('\0', "")), "[a-z=/ ]{0,12}"]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..=u64::MAX, MIN_MEMORY..=MAX_WASM_MEMORY, 1..=u64::MAX, 1..=u64::MAX, 1..=7_776_000_u64).prop_map(
        |(fuel, memory, output, entries, wall)| Limits { fuel, memory, output, entries, wall, ..Limits::LEAST },
    )
}

/// An engine, and limits that it can have.
fn engines() -> impl Strategy<Value = (Engine, Limits)> {
    let name = ("[a-z0-9]{1,8}(:[1-9][0-9]{0,3}/x)?(/[a-z0-9][a-z0-9._-]{0,8}){0,2}", any::<[u8; 32]>());
    let name = name.prop_map(|(name, digest)| {
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Image::Named(format!("{name}@sha256:{digits}"))
    });
    let image = prop_oneof![name, links().prop_map(Image::Archive)];
    let docker = (image, vec(texts(), 0..3), prop::option::of("(/[a-z]{1,5}){1,3}"));
    let more = (MIN_MEMORY..=MAX_MEMORY, 10..=MAX_CPU, 1..=MAX_PIDS, 0..=MAX_GPUS);
    prop_oneof![
        (links(), "[a-z_]{1,10}".prop_filter("runs nothing", |entry| entry != "_initialize"), limits())
            .prop_map(|(module, entry, limits)| (Engine::Wasm { module, entry }, limits)),
        (docker, limits(), more).prop_map(|((image, entrypoint, workdir), limits, (memory, cpu, pids, gpus))| {
            (Engine::Docker { image, entrypoint, workdir }, Limits { memory, cpu, pids, gpus, ..limits })
        }),
    ]
}

pub(super) fn specs() -> impl Strategy<Value = JobSpec> {
    let names = || "[^=\0]{1,20}";
    // Distinct first parts keep the paths apart.
    let sources = prop_oneof![
        links().prop_map(|cid| Input::content(cid, None)),
        (links(), "https?://[a-z]{1,8}(:[0-9]{1,4})?(/[a-z%20]{0,5}){0,3}(\\?[a-z=&]{0,5})?").prop_map(|(cid, url)| {
            let cid = Some(Link(Cid::new_v1(0x55, *cid.0.hash())));
            Input { cid, url: Some(url), directory: None, path: None }
        }),
        "[a-z0-9][a-z0-9._-]{0,8}".prop_map(|label| Input { cid: None, url: None, directory: Some(label), path: None }),
    ];
    let paths = vec((sources, prop::option::of("(/[a-zA-Z0-9 _-]{1,8}){1,3}")), 0..5).prop_map(|inputs| {
        inputs
            .into_iter()
            .enumerate()
            .map(|(n, (input, path))| Input { path: path.map(|path| format!("/in{n}{path}")), ..input })
            .collect::<Vec<_>>()
    });
    (engines(), vec(texts(), 0..5), btree_map(names(), texts(), 0..5), paths, btree_map(names(), texts(), 0..5))
        .prop_map(|((engine, limits), args, env, inputs, labels)| JobSpec {
            version: VERSION,
            engine,
            args,
            env,
            inputs,
            outputs: "/outputs".to_owned(),
            limits,
            labels,
        })
}
