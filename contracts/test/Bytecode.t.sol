// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {AuctionTest} from "./base/AuctionTest.sol";

/// @title BytecodeTest: what is deployed, byte by byte
contract BytecodeTest is AuctionTest {
    uint8 private constant PUSH0 = 0x5f;
    uint8 private constant PUSH32 = 0x7f;
    uint8 private constant DELEGATECALL = 0xf4;

    /// @dev How often each opcode stands in the code; the data of PUSH instructions is skipped. There is no metadata
    /// behind the code (cbor_metadata = false), and what the compiler keeps there (constants) would only add opcodes.
    function _count(bytes memory code) private pure returns (uint256[256] memory counts) {
        for (uint256 i = 0; i < code.length; ++i) {
            uint8 op = uint8(code[i]);
            ++counts[op];
            if (op > PUSH0 && op <= PUSH32) i += op - PUSH0;
        }
    }

    function test_TheMarketFitsIntoAContract() external view {
        assertLt(address(market).code.length, 24_576, "EIP-170");
        assertLt(vm.getCode("LotaMarket.sol:LotaMarket").length + 128, 49_152, "EIP-3860");
    }

    function test_TheAuctionFitsIntoAContract() external view {
        assertLt(address(auction).code.length, 24_576, "EIP-170");
    }

    function test_TheBlessingFitsIntoAContract() external view {
        assertLt(vm.getDeployedCode("Blessing.sol:Blessing").length, 24_576, "EIP-170");
    }

    function _requireNoneBanned(uint256[256] memory counts) private pure {
        uint8[10] memory banned = [
            0x49, // BLOBHASH: absent on FEVM
            0x4a, // BLOBBASEFEE: absent on FEVM
            0xf2, // CALLCODE: absent on FEVM
            0xff, // SELFDESTRUCT: nothing ends this contract
            0x32, // ORIGIN: no authority comes from it
            0x40, // BLOCKHASH: another thing on FEVM
            0x44, // PREVRANDAO: can be steered
            0xf0, // CREATE
            0xf5, // CREATE2
            0x43 // NUMBER: time is in seconds here
        ];
        for (uint256 i = 0; i < banned.length; ++i) {
            assertEq(counts[banned[i]], 0, vm.toString(banned[i]));
        }
    }

    function test_TheMarketUsesNoOpcodeThatFevmLacksOrThatItShouldNot() external view {
        uint256[256] memory counts = _count(address(market).code);
        _requireNoneBanned(counts);
        assertEq(counts[DELEGATECALL], 1, "multicall, to itself");
    }

    function test_TheAuctionUsesNoOpcodeThatFevmLacksOrThatItShouldNot() external view {
        uint256[256] memory counts = _count(address(auction).code);
        _requireNoneBanned(counts);
        assertEq(counts[DELEGATECALL], 0);
    }

    function test_TheBlessingUsesNoOpcodeThatFevmLacksOrThatItShouldNot() external view {
        uint256[256] memory counts = _count(vm.getDeployedCode("Blessing.sol:Blessing"));
        _requireNoneBanned(counts);
        assertEq(counts[DELEGATECALL], 0);
    }

    function test_TheContractsForFilecoinFitAndUseNoOpcodeThatTheyShouldNot() external view {
        string[8] memory names = [
            "FilecoinPayDeals",
            "FilecoinPayGranter",
            "CurioMarket",
            "PossessionRecord",
            "BonusGranter",
            "RequestOnlyGranter",
            "VerifregGranter",
            "MetaAllocatorGranter"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            // Of the file: the tests compile granters in their own way, too.
            bytes memory code =
                vm.parseJsonBytes(vm.readFile(string.concat("abi/", names[i], ".json")), ".deployedBytecode");
            assertGt(code.length, 1000);
            assertLt(code.length, 24_576, "EIP-170");
            uint256[256] memory counts = _count(code);
            if (i < 4) {
                // Filecoin's contracts count in epochs.
                assertGt(counts[0x43], 0, "NUMBER");
                counts[0x43] = 0;
            }
            _requireNoneBanned(counts);
            if (i < 6) assertEq(counts[DELEGATECALL], 0, names[i]);
            else assertGt(counts[DELEGATECALL], 0, "the precompile takes no other call");
        }
    }

    /// @dev The scan finds what it looks for.
    function test_TheScanSeesOpcodesAndSkipsData() external pure {
        uint256[256] memory counts =
            _count(hex"61494a495f4a7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
        assertEq(counts[0x49], 1);
        assertEq(counts[0x4a], 1);
        assertEq(counts[0xff], 1);
        assertEq(counts[PUSH0], 1);
        assertEq(counts[PUSH32], 1);
    }

    /// @dev scripts/abi --check compares all of it; this fails as soon as the tests run against something else.
    function test_TheCheckedInBytecodeIsWhatTheTestsDeploy() external view {
        string[3] memory names = ["LotaMarket", "SealedBidAuction", "Blessing"];
        for (uint256 i = 0; i < names.length; ++i) {
            string memory json = vm.readFile(string.concat("abi/", names[i], ".json"));
            assertEq(
                keccak256(vm.parseJsonBytes(json, ".bytecode")),
                keccak256(vm.getCode(string.concat(names[i], ".sol:", names[i]))),
                "run scripts/abi"
            );
        }
    }
}
