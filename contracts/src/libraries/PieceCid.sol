// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title PieceCid: the bytes of piece CIDs
/// @dev Version 2 (FRC-0069): 01 (CIDv1), 55 (raw), 91 20 (the multihash fr32-sha256-trunc254-padbintree, 0x1011), the digest's length,
/// and the digest: the bytes of padding behind the content as an unsigned LEB128 of the fewest bytes, the tree's height above its
/// leaves of 32 bytes, the root. Version 1: 01, 81 e2 03 (fil-commitment-unsealed, 0xf101), 92 20 (sha2-256-trunc254-padded, 0x1012),
/// 20, the root. The same bytes as lota_content::piece reads and writes.
library PieceCid {
    /// @param root of the tree: 254 bits, so the two highest bits of its last byte are zero
    /// @param padding zeros behind the content, in bytes
    struct Piece {
        bytes32 root;
        uint8 height;
        uint64 padding;
    }

    uint8 internal constant MIN_HEIGHT = 2; // one quad of 127 bytes
    uint8 internal constant MAX_HEIGHT = 58; // sizes fit 64 bits
    uint256 private constant _PREFIX = 0x01559120;
    uint256 private constant _PREFIX_LENGTH = 5; // with the digest's length
    uint256 private constant _MAX_VARINT = 9; // padding is below 2^63
    bytes7 private constant _PREFIX_V1 = 0x0181e203922020;

    /// @notice These bytes are no piece CID of version 2, or not as it has to be written.
    error BadPieceCid(bytes cid);

    /// @dev Reverts unless these are the bytes of a piece CID of version 2, and nothing else.
    function parse(bytes calldata cid) internal pure returns (Piece memory piece) {
        bool good;
        (good, piece) = _parse(cid);
        if (!good) revert BadPieceCid(cid);
    }

    /// @dev The bytes of version 2.
    function encode(Piece memory piece) internal pure returns (bytes memory) {
        bytes memory padding;
        uint64 rest = piece.padding;
        while (rest > 0x7f) {
            padding = abi.encodePacked(padding, uint8(rest & 0x7f | 0x80));
            rest >>= 7;
        }
        padding = abi.encodePacked(padding, uint8(rest));
        return abi.encodePacked(uint32(_PREFIX), uint8(padding.length + 33), padding, piece.height, piece.root);
    }

    /// @dev What the chain calls the piece's size, in bytes.
    function paddedSize(uint8 height) internal pure returns (uint64) {
        return uint64(32) << height;
    }

    /// @dev The root that a piece CID of version 1 names. A digest that is no root is none of a piece that has been announced.
    function rootOfV1(bytes calldata cid) internal pure returns (bool good, bytes32 root) {
        if (cid.length != 39 || bytes7(cid) != _PREFIX_V1) return (false, 0);
        return (true, bytes32(cid[7:]));
    }

    function _parse(bytes calldata cid) private pure returns (bool, Piece memory piece) {
        if (cid.length < _PREFIX_LENGTH || uint32(bytes4(cid)) != _PREFIX) return (false, piece);
        bytes calldata digest = cid[_PREFIX_LENGTH:];
        if (uint8(cid[4]) != digest.length || digest.length < 34 || digest.length > 33 + _MAX_VARINT) {
            return (false, piece);
        }
        uint256 length = digest.length - 33;
        for (uint256 i = 0; i < length; ++i) {
            uint8 part = uint8(digest[i]);
            // All but the last continue, and the last is not zero unless it is alone.
            if ((part > 0x7f) == (i + 1 == length) || (part == 0 && i != 0)) return (false, piece);
            piece.padding |= uint64(part & 0x7f) << uint64(7 * i);
        }
        piece.height = uint8(digest[length]);
        piece.root = bytes32(digest[length + 1:]);
        if (piece.height < MIN_HEIGHT || piece.height > MAX_HEIGHT || uint8(piece.root[31]) > 0x3f) {
            return (false, piece);
        }
        return (piece.padding <= uint64(127) << (piece.height - MIN_HEIGHT), piece);
    }
}
