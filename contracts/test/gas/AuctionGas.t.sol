// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {VmSafe} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {AuctionTest} from "../base/AuctionTest.sol";

/// @dev A cheatcode that this forge-std does not declare yet.
interface EvmVersions {
    function setEvmVersion(string calldata version) external;
}

/// @title AuctionGasTest: what auctions cost, as {GasTest} measures it
/// @dev Bidders have accounts in the auction, and somebody's deposit was burned before: no slot is written for the first time but
/// those of the auction itself. Prices are in no order.
contract AuctionGasTest is AuctionTest {
    uint256 private constant MOST = 20;

    function setUp() public override {
        super.setUp();
        EvmVersions(address(vm)).setEvmVersion("prague");
        for (uint256 i = 0; i < MOST; ++i) {
            _fundBidder(_bidder(i), ACCOUNT);
        }
        ILotaMarket.Terms memory t = _plain(0);
        _open(t);
        _commit(t, bidders[0], t.maxPrice);
    }

    function _bidder(uint256 i) private returns (address) {
        return makeAddr(string.concat("bidder ", vm.toString(i)));
    }

    function _plain(uint256 salt) private view returns (ILotaMarket.Terms memory t) {
        t = _auctioned(salt);
        (t.arbiter, t.reviewFor, t.ruleFor) = (address(0), 0, 0);
        (t.minPrice, t.maxPrice, t.collateral) = (0.01 ether, 0.05 ether, 0.02 ether);
    }

    /// @dev 7 has no common factor with 20: all prices differ.
    function _price(uint256 i) private pure returns (uint256) {
        return 0.01 ether + (i * 7 % MOST) * 0.001 ether;
    }

    /// @dev The transaction just made.
    function _gas() private view returns (uint256) {
        VmSafe.Gas memory last = vm.lastCallGas();
        return last.gasTotalUsed;
    }

    function _measure(uint256 count) private {
        ILotaMarket.Terms memory t = _plain(1);
        _open(t);
        uint256 commits = 0;
        for (uint256 i = 0; i < count; ++i) {
            _commit(t, _bidder(i), _price(i));
            commits += _gas();
        }
        vm.warp(REVEAL_FROM);
        uint256 reveals = 0;
        for (uint256 i = 0; i < count; ++i) {
            _reveal(t, _bidder(i), _price(i));
            reveals += _gas();
        }
        vm.warp(REVEAL_UNTIL + 1);
        auction.award(t);
        uint256 award = _gas();
        string memory name = string.concat("auction of ", vm.toString(count), " bidders");
        vm.snapshotValue("auctions", string.concat(name, ": award"), award);
        vm.snapshotValue("auctions", string.concat(name, ": commit, per bidder"), commits / count);
        vm.snapshotValue("auctions", string.concat(name, ": reveal, per bidder"), reveals / count);
        vm.snapshotValue("auctions", string.concat(name, ": all, per bidder"), (commits + reveals + award) / count);
    }

    function test_AuctionOf2() external {
        _measure(2);
    }

    function test_AuctionOf5() external {
        _measure(5);
    }

    function test_AuctionOf20() external {
        _measure(20);
    }

    function _note(string memory name) private {
        vm.snapshotValue("auctions", name, _gas());
    }

    function test_OtherFunctions() external {
        ILotaMarket.Terms memory t = _plain(1);
        vm.deal(bidders[1], 1 ether);
        vm.prank(bidders[1]);
        auction.fund{value: 1 ether}();
        _note("fund");
        vm.prank(bidders[1]);
        auction.withdraw(bidders[1], 1 ether);
        _note("withdraw");
        _open(t);
        vm.prank(client.addr);
        auction.cancel(t);
        _note("cancel, before the first commit");

        t = _plain(2);
        _open(t);
        for (uint256 i = 0; i < 4; ++i) {
            _commit(t, _bidder(i), 0.02 ether);
        }
        vm.warp(REVEAL_FROM);
        _reveal(t, _bidder(0), 0.02 ether);
        _note("reveal, the first");
        _reveal(t, _bidder(1), 0.02 ether);
        _note("reveal, the second");
        _reveal(t, _bidder(2), 0.02 ether);
        _note("reveal, hopeless");
        vm.warp(LOCK_BY + 1);
        auction.release(t);
        _note("release");
        address[] memory list = new address[](1);
        list[0] = _bidder(3);
        auction.sweep(t, list);
        _note("sweep, of one commitment");
    }
}
