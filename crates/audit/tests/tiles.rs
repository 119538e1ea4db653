// SPDX-License-Identifier: Apache-2.0
//! Rules of tiles: paths, which ones exist, and the bytes in them.

use sta_audit::merkle::leaf_hash;
use sta_audit::tile::{
    ENTRY_BYTES_MAX, Tile, TileError, bundle_entries, read_bundle, read_hash_tile, tiles_for_size,
    write_bundle, write_hash_tile,
};

#[test]
fn tiles_have_the_paths_of_the_specification() {
    let path = |tile: Result<Tile, TileError>| tile.unwrap().to_string();
    assert_eq!(path(Tile::hashes(0, 1_234_067, 256)), "tile/0/x001/x234/067");
    assert_eq!(path(Tile::hashes(0, 0, 5)), "tile/0/000.p/5");
    assert_eq!(path(Tile::hashes(2, 999, 256)), "tile/2/999");
    assert_eq!(path(Tile::entries(1000, 255)), "tile/entries/x001/000.p/255");
    assert_eq!(path(Tile::hashes(0, u64::MAX >> 8, 256)), "tile/0/x072/x057/x594/x037/x927/935");
}

#[test]
fn a_tile_that_no_log_has_cannot_be_named() {
    assert!(Tile::hashes(8, 0, 1).is_err());
    assert!(Tile::hashes(0, 0, 0).is_err());
    assert!(Tile::hashes(0, 0, 257).is_err());
    assert!(Tile::hashes(0, (u64::MAX >> 8) + 1, 256).is_err());
    assert!(Tile::hashes(7, 1, 1).is_err());
    for path in [
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/00/001",
        "tile/8/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000.p/",
        "tile/entries/../000",
        "checkpoint",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/+01",
        "tile/data/000",
        "",
        "tile/-1/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
}

#[test]
fn a_log_of_70000_entries_consists_of_the_tiles_in_the_specification() {
    let tiles: Vec<String> = tiles_for_size(70_000).map(|tile| tile.to_string()).collect();
    let full =
        |prefix: &str| tiles.iter().filter(|path| path.starts_with(prefix) && !path.contains(".p/")).count();
    assert_eq!((full("tile/0/"), full("tile/1/"), full("tile/2/"), full("tile/entries/")), (273, 1, 0, 273));
    let partial: Vec<&str> = tiles.iter().filter(|path| path.contains(".p/")).map(String::as_str).collect();
    let expected = ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"];
    assert_eq!(partial, expected);
    assert_eq!(tiles_for_size(0).count(), 0);
    let of_256: Vec<String> = tiles_for_size(256).map(|tile| tile.to_string()).collect();
    assert_eq!(of_256, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn every_path_reads_back_as_its_tile() {
    for size in [1, 255, 256, 257, 70_000, 300_000] {
        for tile in tiles_for_size(size) {
            assert_eq!(tile.to_string().parse::<Tile>(), Ok(tile));
        }
    }
}

#[test]
fn the_largest_log_has_a_tile_at_its_very_end() {
    let last = Tile::in_log(sta_audit::tile::TileKind::Entries, u64::MAX >> 8, u64::MAX).unwrap();
    assert_eq!((last.width(), last.start() + 254), (255, u64::MAX - 1));
}

#[test]
fn a_bundle_holds_entries_of_any_length_up_to_the_limit() {
    let entries = [vec![], vec![7], vec![0; ENTRY_BYTES_MAX]];
    let bundle = write_bundle(&entries).unwrap();
    assert_eq!(read_bundle(&bundle, 3).unwrap(), entries);
    let too_long = [vec![1], vec![0; ENTRY_BYTES_MAX + 1]];
    let refused = TileError::EntryTooLong { position: 1, bytes: ENTRY_BYTES_MAX + 1 };
    assert_eq!(write_bundle(&too_long), Err(refused));
    assert!(write_bundle::<Vec<u8>>(&[]).is_err());
    assert!(write_bundle(&vec![vec![]; 257]).is_err());
}

#[test]
fn a_bundle_that_is_cut_or_goes_on_is_refused() {
    let bundle = write_bundle(&[&b"one"[..], b"two", b"three"]).unwrap();
    assert_eq!(read_bundle(&bundle[..bundle.len() - 1], 3), Err(TileError::BundleCut { position: 2 }));
    assert_eq!(read_bundle(&bundle, 4), Err(TileError::Width { expected: 4, got: 3 }));
    assert_eq!(read_bundle(&bundle, 2), Err(TileError::BundleLeftover { bytes: 7 }));
    let before_the_fault = bundle_entries(&bundle[..bundle.len() - 1]).filter_map(Result::ok).count();
    assert_eq!(before_the_fault, 2);
}

#[test]
fn a_hash_tile_has_exactly_its_hashes() {
    let hashes = [leaf_hash(b"a"), leaf_hash(b"b")];
    let bytes = write_hash_tile(&hashes).unwrap();
    assert_eq!(read_hash_tile(&bytes, 2).unwrap(), hashes);
    for length in [0, 32, 63] {
        let refused = TileError::HashBytes { width: 2, expected: 64, got: length };
        assert_eq!(read_hash_tile(&bytes[..length], 2), Err(refused));
    }
    assert!(write_hash_tile(&[]).is_err());
}
