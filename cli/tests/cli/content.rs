//! Content in and out of the daemon.

use crate::support::Home;

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_folder_goes_in_and_comes_out_unchanged() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "0"]);
    let big: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.to_le_bytes()).take(3_000_000).collect();
    home.file("in/big.bin", &big);
    home.file("in/sub/\u{fc}ml\u{e4}ut & space", "x");
    let folder = home.file("in/empty", "");
    let folder = path(folder.parent().expect("a folder"));
    let cid = home.stdout(&["content", "add", folder]).trim().to_owned();
    assert_eq!(home.stdout(&["content", "add", folder, "--only-cid"]).trim(), cid);
    assert_eq!(home.json(&["content", "add", folder, "--json"])["cid"], cid.as_str());

    assert_eq!(home.stdout(&["content", "get", &cid, "-o", "out"]), "out\n");
    let read = |name: &str| std::fs::read(home.place("out").join(name)).expect("there");
    assert_eq!(read("big.bin"), big);
    assert_eq!(read("sub/\u{fc}ml\u{e4}ut & space"), b"x");
    assert_eq!(read("empty"), b"");
    let (code, line) = home.failure(&["content", "get", &cid, "-o", "out"]);
    assert_eq!(code, 1);
    assert!(line.contains("out exists already"), "{line}");

    assert_eq!(home.stdout(&["content", "cat", &format!("{cid}/sub/\u{fc}ml\u{e4}ut & space")]), "x");
    let entries = home.json(&["content", "ls", &cid, "--json"]);
    let names: Vec<_> =
        entries.as_array().expect("a list").iter().map(|entry| entry["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["big.bin", "empty", "sub"]);

    home.stdout(&["content", "rm", &cid]);
    let (code, line) = home.failure(&["content", "rm", &cid]);
    assert_eq!(code, 1);
    assert!(line.contains("let go of before"), "{line}");

    let (_, line) = home.failure(&["content", "cat", &format!("{cid}/missing")]);
    assert!(line.contains("missing"), "{line}");
    let (_, line) = home.failure(&["content", "cat", &cid]);
    assert!(line.contains("directory"), "{line}");
    let (_, line) = home.failure(&["content", "cat", "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"]);
    assert!(line.contains("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"), "{line}");
}

#[test]
fn links_are_not_followed() {
    let home = Home::new();
    let secret = home.file("secret", "secret");
    let folder = home.file("in/file", "x");
    let folder = folder.parent().expect("a folder");
    std::os::unix::fs::symlink(&secret, folder.join("link")).expect("linked");
    let (code, line) = home.failure(&["content", "add", "--only-cid", path(folder)]);
    assert_eq!(code, 1);
    assert!(line.contains("link") && line.contains("symbolic link"), "{line}");
    home.lota(&["content", "add", "--only-cid", "--keep-links", path(folder)]).assert().success();
}

#[test]
fn what_filecoin_calls_a_file_needs_no_daemon() {
    let home = Home::new();
    let (v1, v2) = (
        "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
        "bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
    );
    let file = home.file("zeros", [0; 127]);
    let printed = home.stdout(&["content", "piece", path(&file)]);
    assert!(printed.contains(v1) && printed.contains(v2) && printed.contains("127 (127 B)"), "{printed}");
    for of in [path(&file), v2] {
        let printed = home.json(&["content", "piece", of, "--json"]);
        let expected = serde_json::json!({"v1": v1, "v2": v2, "size": 127, "unpadded_size": 127, "padded_size": 128});
        assert_eq!(printed, expected);
    }
    assert_eq!(home.json(&["content", "piece", v1, "--json"]), serde_json::json!({"v1": v1}));
    let (_, line) = home.failure(&["content", "piece", "missing.car"]);
    assert!(line.contains("missing.car"), "{line}");
}

#[test]
fn the_piece_of_content_is_that_of_its_car() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "0"]);
    // No two of its blocks are alike: a CAR has each once.
    let bytes: Vec<u8> = (0..250_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = home.file("in/big.bin", bytes);
    let cid = home.stdout(&["content", "add", path(&file)]).trim().to_owned();
    let piece = home.json(&["content", "piece", &cid, "--json"]);
    assert!(piece["v2"].as_str().expect("a CID").starts_with("bafkzcib"), "{piece}");
    // Four blocks of 1,000,000 bytes take some more in a CAR: headers, CIDs, and the file's node.
    let size = piece["size"].as_u64().expect("a size");
    assert!((1_000_000..1_001_000).contains(&size), "{piece}");
    assert_eq!(home.json(&["content", "piece", &cid, "--json"]), piece, "the same CAR each time");
}
