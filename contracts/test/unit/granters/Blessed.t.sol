// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Rails} from "../../../src/abstracts/Rails.sol";
import {BonusGranter} from "../../../src/granters/BonusGranter.sol";
import {FilecoinPayGranter} from "../../../src/granters/FilecoinPayGranter.sol";
import {RequestOnlyGranter} from "../../../src/granters/RequestOnlyGranter.sol";
import {VerifregGranter} from "../../../src/granters/VerifregGranter.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";
import {FilecoinPayTest} from "../../base/FilecoinPayTest.sol";
import {VerifregDouble} from "../../mocks/BuiltinActorsDouble.sol";

/// @dev The whole way, with the blessing contract itself: settled, nominated, voted on, granted.
contract BlessedGrantsTest is BlessingTest, FilecoinPayTest {
    address private sponsor = makeAddr("sponsor");
    bytes private to;

    function setUp() public override {
        super.setUp();
        _deployFilecoinPay();
        to = abi.encodePacked(provider.addr);
    }

    function _admitReal(address real, uint256 amount, bytes memory recipient_) private {
        _admit(real, _limits(amount, amount, amount));
        vm.prank(provider.addr);
        blessing.register(real, recipient_, 0, 0);
    }

    function _nominateFor(address real, uint256 amount, bytes memory recipient_)
        private
        returns (IBlessing.Nomination memory n)
    {
        ILotaMarket.Terms memory t = _terms();
        if (market.dealOf(_jobId(t)).status == ILotaMarket.Status.None) _settleDeal(t);
        n = _nomination(t, blessing.recordOf(_jobId(t)).round + 1);
        (n.granter, n.amount, n.recipient, n.share, n.bounty) = (real, amount, recipient_, 0, 0);
        vm.prank(nominator.addr);
        blessing.nominate(t, _receipt(), IBlessing.Request(real, amount, n.piece, n.pieceSize, 0, 0));
    }

    function _blessFor(address real, uint256 amount, bytes memory recipient_)
        private
        returns (IBlessing.Nomination memory n)
    {
        n = _nominateFor(real, amount, recipient_);
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Approve);
        vm.warp(block.timestamp + REVOKE_FOR + 1);
    }

    function _assertGranted(IBlessing.Nomination memory n) private view {
        _assertPhase(n.jobId, IBlessing.Phase.Granted, n.round);
    }

    function test_WhenTheGranterPaysByFilecoinPay() external {
        FilecoinPayGranter real =
            new FilecoinPayGranter(address(blessing), filecoinPay, address(dollar), sponsor, EPOCH, GRACE);
        _admitReal(address(real), 50e6, to);
        _depositPay(address(dollar), sponsor, 50e6);
        _approve(address(dollar), sponsor, address(real), 50e6);
        IBlessing.Nomination memory n = _blessFor(address(real), 50e6, to);
        // The account runs dry between the vote and the grant; somebody deposits, and it is tried again.
        uint256 snapshot = vm.snapshotState();
        vm.prank(sponsor);
        filecoinPay.withdraw(address(dollar), 1);
        vm.expectEmit(address(blessing));
        emit IBlessing.GrantFailed(n.jobId, n.round, Rails.NotEnoughFunds.selector);
        blessing.grant(n);
        _assertPhase(n.jobId, IBlessing.Phase.Blessed, n.round);
        assertTrue(vm.revertToState(snapshot));
        vm.prank(sponsor);
        filecoinPay.setOperatorApproval(address(dollar), address(real), false, 0, 0, 0);
        vm.expectEmit(address(blessing));
        emit IBlessing.GrantFailed(n.jobId, n.round, Rails.OperatorNotApproved.selector);
        blessing.grant(n);
        _approve(address(dollar), sponsor, address(real), 50e6);
        blessing.grant(n);
        _assertGranted(n);
        uint256[] memory rails = new uint256[](1);
        rails[0] = real.railOf(sponsor, provider.addr);
        real.pay(rails);
        (uint256 funds,) = _funds(address(dollar), provider.addr);
        assertEq(funds, _net(50e6));
    }

    function test_WhenTheSponsorHasTooLittleAtTheNomination() external {
        FilecoinPayGranter real =
            new FilecoinPayGranter(address(blessing), filecoinPay, address(dollar), sponsor, EPOCH, GRACE);
        _admitReal(address(real), 50e6, to);
        ILotaMarket.Terms memory t = _terms();
        _settleDeal(t);
        bytes4 why = Rails.OperatorNotApproved.selector;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.GrantRefused.selector, address(real), why));
        vm.prank(nominator.addr);
        blessing.nominate(t, _receipt(), IBlessing.Request(address(real), 50e6, keccak256("piece"), 32 << 30, 0, 0));
    }

    function test_WhenTheGranterPaysABonus() external {
        BonusGranter.Limits memory limits = BonusGranter.Limits(1 ether, 1 ether, 1 ether, 30 days);
        BonusGranter real = new BonusGranter(address(blessing), address(0), limits, sponsor, type(uint64).max);
        vm.deal(address(real), 1 ether);
        _admitReal(address(real), 1 ether, to);
        IBlessing.Nomination memory n = _blessFor(address(real), 1 ether, to);
        uint256 before = provider.addr.balance;
        blessing.grant(n);
        _assertGranted(n);
        assertEq(provider.addr.balance - before, 1 ether);
    }

    function test_WhenTheGranterGivesDataCap() external {
        VerifregDouble registry = VerifregDouble(0xFF00000000000000000000000000000000000006);
        vm.etch(address(registry), type(VerifregDouble).runtimeCode);
        VerifregGranter real = new VerifregGranter(address(blessing));
        bytes memory miner = hex"00e807"; // f01000
        _admitReal(address(real), 32 << 30, miner);
        IBlessing.Nomination memory n = _blessFor(address(real), 32 << 30, miner);
        vm.expectEmit(address(blessing));
        emit IBlessing.GrantFailed(n.jobId, n.round, VerifregGranter.NotAVerifier.selector);
        blessing.grant(n);
        registry.setVerifier(address(real), 32 << 30);
        registry.setAnswer(18);
        vm.expectEmit(address(blessing));
        emit IBlessing.GrantFailed(n.jobId, n.round, VerifregGranter.FilPlusEnded.selector);
        blessing.grant(n);
        registry.setAnswer(0);
        blessing.grant(n);
        _assertGranted(n);
        assertEq(registry.granted(miner), 32 << 30);
        _expectUnknownNomination(n.jobId);
        blessing.grant(n); // once
    }

    function test_WhenTheGranterOnlyAsks() external {
        RequestOnlyGranter real = new RequestOnlyGranter(address(blessing));
        bytes memory miner = hex"00e807";
        _admitReal(address(real), 32 << 30, miner);
        IBlessing.Nomination memory n = _blessFor(address(real), 32 << 30, miner);
        vm.expectEmit(address(real));
        emit RequestOnlyGranter.GrantRequested(n.jobId, provider.addr, _grantOf(n));
        blessing.grant(n);
        _assertGranted(n);
    }

    function _grantOf(IBlessing.Nomination memory n) private pure returns (Grant memory) {
        return Grant(n.jobId, n.round, n.provider, n.recipient, n.amount, n.piece, n.pieceSize, REASONS);
    }
}
