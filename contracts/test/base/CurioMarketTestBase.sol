// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ICurioDealView, ICurioMarket} from "../../src/interfaces/ICurioMarket.sol";
import {Test} from "./Test.sol";

/// @title CurioMarketTestBase: deals, what Curio asks about them, and what miner actors tell of them
abstract contract CurioMarketTestBase is Test {
    /// @dev FRC-0042's number of "SectorContentChanged", as actors/miner/src/lib.rs of builtin-actors has it.
    uint64 internal constant METHOD = 2034386435;
    uint64 internal constant PROVIDER = 1234;
    address internal constant CLIENT = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;
    /// @dev Of 1 MiB: bafkzcibeqcad6edq6pkhki5l....
    bytes32 internal constant ROOT = 0x70f3d47523ab4df95d7e92547b4fe27b695e9abde41a0bee03bb66f5f8ab603a;

    ICurioMarket internal market;

    function _proposal() internal pure returns (ICurioMarket.Proposal memory) {
        return ICurioMarket.Proposal({
            provider: PROVIDER,
            pieceCid: abi.encodePacked(hex"0155912024", hex"80803f10", ROOT),
            startEpoch: 0,
            duration: 518_400,
            allocationId: 0,
            openUntil: 2_000
        });
    }

    /// @dev What Curio asks about a deal of {_proposal}.
    function _view(uint256 dealId) internal pure returns (ICurioDealView.CurioDealView memory) {
        return ICurioDealView.CurioDealView({
            dealId: dealId,
            state: ICurioDealView.DealState.Open,
            providerActorId: PROVIDER,
            clientId: abi.encodePacked(hex"040a", CLIENT),
            pieceCidV2: _proposal().pieceCid,
            startEpoch: 0,
            duration: 518_400,
            allocationId: 0,
            finalizedEpoch: 0
        });
    }

    function _assertState(uint256 dealId, ICurioDealView.DealState state) internal view {
        assertEq(uint256(market.getDealState(dealId)), uint256(state), "state");
    }

    // ------------------------------------------------------------------------------------------------------------
    // What actors send
    // ------------------------------------------------------------------------------------------------------------

    /// @dev An actor's address, as FEVM gives it when it has no other.
    function _actor(uint64 id) internal pure returns (address) {
        return address(uint160(0xff) << 152 | uint160(id));
    }

    function _notify(bytes memory params) internal returns (bytes memory result) {
        uint32 exitCode;
        uint64 codec;
        vm.prank(_actor(PROVIDER));
        (exitCode, codec, result) = market.handle_filecoin_method(METHOD, 0x51, params);
        assertEq(exitCode, 0);
        assertEq(codec, 0x51);
    }

    /// @dev The head of a number of this major type (RFC 8949, 3.1).
    function _head(uint8 major, uint64 number) internal pure returns (bytes memory) {
        uint8 high = major << 5;
        if (number < 24) return abi.encodePacked(high | uint8(number));
        if (number < 1 << 8) return abi.encodePacked(high | 24, uint8(number));
        if (number < 1 << 16) return abi.encodePacked(high | 25, uint16(number));
        if (number < 1 << 32) return abi.encodePacked(high | 26, uint32(number));
        return abi.encodePacked(high | 27, number);
    }

    function _v1(bytes32 root) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"0181e203922020", root);
    }

    function _change(bytes memory cid, uint64 size, bytes memory payload) internal pure returns (bytes memory) {
        bytes memory data = abi.encodePacked(hex"d82a", _head(2, uint64(cid.length + 1)), hex"00", cid);
        return abi.encodePacked(hex"83", data, _head(0, size), _head(2, uint64(payload.length)), payload);
    }

    function _change(bytes32 root, uint8 sizeLog2, uint64 dealId) internal pure returns (bytes memory) {
        return _change(_v1(root), uint64(1) << sizeLog2, _head(0, dealId));
    }

    function _sector(uint64 sector, uint64 committedUntil, bytes memory array, bytes memory changes)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(hex"83", _head(0, sector), _head(0, committedUntil), array, changes);
    }

    /// @dev One piece in one sector.
    function _params(uint64 sector, uint64 committedUntil, bytes memory change) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"81", _sector(sector, committedUntil, hex"81", change));
    }
}
