// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {PieceCid} from "../../../src/libraries/PieceCid.sol";
import {Test} from "../../base/Test.sol";

contract PieceCidTest is Test {
    /// @dev Of 127 zeros: FRC-0069 names it bafkzcibcaabdomn3....
    bytes32 private constant ZEROS = 0x3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333;

    function parse(bytes calldata cid) external pure returns (PieceCid.Piece memory) {
        return PieceCid.parse(cid);
    }

    function rootOfV1(bytes calldata cid) external pure returns (bool, bytes32) {
        return PieceCid.rootOfV1(cid);
    }

    function _assertPiece(bytes memory cid, bytes32 root, uint8 height, uint64 padding) private view {
        PieceCid.Piece memory piece = this.parse(cid);
        assertEq(piece.root, root);
        assertEq(piece.height, height);
        assertEq(piece.padding, padding);
        assertEq(PieceCid.encode(piece), cid);
    }

    function test_WhenACIDIsThatOfAPiece() external view {
        // The vectors of content/src/piece/tests.rs, decoded from base32: FRC-0069's of nothing and 127 zeros, Curio's of 1 MiB.
        _assertPiece(abi.encodePacked(hex"01559120227f02", ZEROS), ZEROS, 2, 127);
        _assertPiece(abi.encodePacked(hex"01559120220002", ZEROS), ZEROS, 2, 0);
        bytes32 mib = 0x70f3d47523ab4df95d7e92547b4fe27b695e9abde41a0bee03bb66f5f8ab603a;
        _assertPiece(abi.encodePacked(hex"0155912024", hex"80803f10", mib), mib, 16, 0x3f << 14);
        _assertPiece(abi.encodePacked(hex"0155912022003a", ZEROS), ZEROS, 58, 0);
        assertEq(PieceCid.paddedSize(58), 1 << 63);
        assertEq(PieceCid.paddedSize(2), 128);
    }

    function _refuses(bytes memory cid) private {
        vm.expectRevert(abi.encodeWithSelector(PieceCid.BadPieceCid.selector, cid));
        this.parse(cid);
    }

    function test_RevertWhen_ACIDIsNotAsItHasToBeWritten() external {
        _refuses("");
        _refuses(hex"01559120");
        _refuses(abi.encodePacked(hex"0155912022", hex"0002", bytes31(ZEROS)));
        _refuses(abi.encodePacked(hex"0155912022", hex"0002", ZEROS, hex"00"));
        _refuses(abi.encodePacked(hex"0155912023", hex"0002", ZEROS));
        _refuses(abi.encodePacked(hex"0155911022", hex"0002", ZEROS));
        _refuses(abi.encodePacked(hex"0155912022", hex"0001", ZEROS)); // no quad
        _refuses(abi.encodePacked(hex"0155912022", hex"003b", ZEROS)); // beyond 64 bits
        _refuses(abi.encodePacked(hex"0155912022", hex"8002", ZEROS)); // goes on
        _refuses(abi.encodePacked(hex"0155912023", hex"800002", ZEROS)); // one byte would do
        _refuses(abi.encodePacked(hex"0155912023", hex"800102", ZEROS)); // 128 zeros of 127 bytes
        _refuses(abi.encodePacked(hex"0155912021", hex"02", ZEROS)); // no padding at all
        _refuses(abi.encodePacked(hex"0155912022", hex"0002", ZEROS | bytes32(uint256(0x40)))); // 255 bits
        _refuses(abi.encodePacked(hex"015591202b", hex"ffffffffffffffffff01", hex"3a", ZEROS)); // 70 bits
    }

    function test_WhenACIDIsOfVersion1() external view {
        (bool good, bytes32 root) = this.rootOfV1(abi.encodePacked(hex"0181e203922020", ZEROS));
        assertTrue(good);
        assertEq(root, ZEROS);
        bytes[5] memory others = [
            bytes(""),
            hex"0181e203922020",
            abi.encodePacked(hex"0181e203922020", bytes31(ZEROS)),
            abi.encodePacked(hex"0181e203922020", ZEROS, hex"00"),
            abi.encodePacked(hex"0182e203922020", ZEROS) // a sealed sector's
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            (good,) = this.rootOfV1(others[i]);
            assertFalse(good, vm.toString(i));
        }
    }

    function testFuzz_WhatIsWrittenIsRead(bytes32 root, uint8 height, uint64 padding) external view {
        height = uint8(bound(height, 2, 58));
        padding = uint64(bound(padding, 0, uint64(127) << (height - 2)));
        root &= ~bytes32(uint256(0xc0));
        _assertPiece(PieceCid.encode(PieceCid.Piece(root, height, padding)), root, height, padding);
    }

    /// @dev What is believed is written in one way only.
    function testFuzz_NoOtherBytesArePieces(bytes calldata tail, uint8 length) external view {
        bytes memory cid = abi.encodePacked(hex"01559120", length, tail);
        try this.parse(cid) returns (PieceCid.Piece memory piece) {
            assertEq(PieceCid.encode(piece), cid);
        } catch (bytes memory why) {
            assertEq(why, abi.encodeWithSelector(PieceCid.BadPieceCid.selector, cid));
        }
    }
}
