// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Cid: content identifiers as text
library Cid {
    bytes32 private constant _BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

    /// @notice The CID of a job's output, of which {ILotaMarket-Result} holds the digest: version 1, dag-pb, sha2-256, in
    /// multibase's lower-case base32 without padding (RFC 4648): 59 characters that begin with "bafybei".
    function ofOutput(bytes32 digest) internal pure returns (string memory) {
        // Version 1, codec 0x70 (dag-pb), hash 0x12 (sha2-256) of 0x20 bytes.
        bytes memory binary = abi.encodePacked(hex"01701220", digest);
        bytes memory text = new bytes(59);
        text[0] = "b";
        uint256 size = 1;
        uint256 bits = 0;
        uint256 held = 0; // how many of the lowest bits of `bits` are not written yet
        for (uint256 i = 0; i < 36; ++i) {
            bits = bits << 8 | uint8(binary[i]);
            for (held += 8; held >= 5; held -= 5) {
                text[size++] = _BASE32[bits >> held - 5 & 31];
            }
        }
        text[58] = _BASE32[bits << 2 & 31]; // 36 bytes are 57 characters and 3 bits
        return string(text);
    }
}
