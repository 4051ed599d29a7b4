// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";

contract BlessingNotariesTest is BlessingTest {
    uint64 private constant UNTIL_ = uint64(START);

    function _signed(address[] memory list, uint32 quorum, uint64 decision) private view returns (bytes32) {
        return _notariesDigest(list, quorum, decision, UNTIL_);
    }

    function test_RevertWhen_ABallotIsNoNotarys() external {
        IBlessing.Ballot[] memory ballots = _ballots(4, _signed(_list(1), 1, 1));
        _expectNotNotary(notaries[3].addr);
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
    }

    function test_RevertWhen_ABallotIsThereTwice() external {
        IBlessing.Ballot[] memory ballots = _ballots(2, _signed(_list(1), 1, 1));
        ballots[1] = ballots[0];
        vm.expectRevert(abi.encodeWithSelector(IBlessing.RepeatedBallot.selector, notaries[0].addr));
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
    }

    function test_RevertWhen_TheyAreTooFew() external {
        IBlessing.Ballot[] memory ballots = _ballots(1, _signed(_list(1), 1, 1));
        vm.expectRevert(abi.encodeWithSelector(IBlessing.QuorumNotReached.selector, 1, 2));
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
        IBlessing.Limits memory none;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.QuorumNotReached.selector, 0, 2));
        blessing.setGranter(address(granter), none, UNTIL_, _ballots(0, 0));
    }

    function test_RevertWhen_TheBallotsAreOld() external {
        IBlessing.Ballot[] memory ballots = _ballots(2, _signed(_list(1), 1, 1));
        vm.warp(START + 1);
        _expectTooLate(START + 1, START);
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
    }

    function _expectBad(IBlessing.NotariesFault fault, address[] memory list, uint32 quorum) private {
        IBlessing.Ballot[] memory ballots = _ballots(2, _signed(list, quorum, 1));
        vm.expectRevert(abi.encodeWithSelector(IBlessing.BadNotaries.selector, fault));
        blessing.setNotaries(list, quorum, UNTIL_, ballots);
    }

    function test_RevertWhen_NobodyCanHaveSuchNotaries() external {
        address[] memory list = new address[](33);
        for (uint160 i = 0; i < 33; ++i) {
            list[i] = address(1000 + i);
        }
        _expectBad(IBlessing.NotariesFault.Count, list, 1);
        _expectBad(IBlessing.NotariesFault.Count, new address[](0), 0);
        _expectBad(IBlessing.NotariesFault.Quorum, _list(2), 0);
        _expectBad(IBlessing.NotariesFault.Quorum, _list(2), 3);
        list = _list(3);
        list[1] = address(0);
        _expectBad(IBlessing.NotariesFault.Invalid, list, 1);
        list[1] = MASKED;
        _expectBad(IBlessing.NotariesFault.Invalid, list, 1);
        list[1] = list[2];
        _expectBad(IBlessing.NotariesFault.Repeated, list, 1);
    }

    function test_WhenThereAreAsManyAsCanBe() external {
        address[] memory list = new address[](32);
        for (uint160 i = 0; i < 31; ++i) {
            list[i] = address(1000 + i);
        }
        list[31] = notaries[4].addr;
        _replace(list, 1);
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 4, IBlessing.Choice.Reject);
        _assertVotes(n.jobId, 0, 1);
    }

    function test_RevertWhen_ABallotIsForSomethingElse() external {
        bytes32[3] memory others = [
            _signed(_list(1), 1, 0), // used before
            _signed(_list(2), 1, 1),
            _notariesDigest(_list(1), 1, 1, UNTIL_ + 1)
        ];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, notaries[0].addr));
            blessing.setNotaries(_list(1), 1, UNTIL_, _ballots(2, others[i]));
        }
    }

    function test_RevertWhen_BallotsAreUsedTwice() external {
        IBlessing.Ballot[] memory ballots = _ballots(2, _signed(_list(2), 2, 1));
        blessing.setNotaries(_list(2), 2, UNTIL_, ballots);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, notaries[0].addr));
        blessing.setNotaries(_list(2), 2, UNTIL_, ballots);
    }

    function test_RevertGiven_TheChainHasSplit() external {
        IBlessing.Ballot[] memory ballots = _ballots(2, _signed(_list(1), 1, 1));
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 1));
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
    }

    function test_WhenANotarySends() external {
        IBlessing.Ballot[] memory ballots = _ballots(2, _signed(_list(1), 1, 1));
        ballots[1].signature = "";
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, notaries[1].addr));
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
        vm.prank(notaries[1].addr);
        blessing.setNotaries(_list(1), 1, UNTIL_, ballots);
        (address[] memory list,,) = blessing.notaries();
        assertEq(list.length, 1);
    }

    function test_WhenAQuorumChangesTheNotaries() external {
        address[] memory wanted = _list(4);
        wanted[0] = notaries[4].addr;
        vm.expectEmit(address(blessing));
        emit IBlessing.NotariesSet(2, wanted, 3);
        blessing.setNotaries(wanted, 3, UNTIL_, _ballots(2, _signed(wanted, 3, 1)));
        (address[] memory list, uint32 quorum, uint32 version) = blessing.notaries();
        assertEq(abi.encode(list), abi.encode(wanted));
        assertEq(quorum, 3);
        assertEq(version, 2);
        assertEq(blessing.decisions(), 2);
        _expectNotNotary(notaries[0].addr);
        blessing.setNotaries(wanted, 3, UNTIL_, _ballots(3, _signed(wanted, 3, 2)));
    }

    function test_WhenAQuorumAdmitsAGranter() external {
        address other = address(new Empty());
        IBlessing.Limits memory limits = _limits(1, 2, 3);
        IBlessing.Ballot[] memory ballots = _ballots(2, _granterDigest(other, limits, 1, UNTIL_));
        vm.expectEmit(address(blessing));
        emit IBlessing.GranterSet(other, limits);
        blessing.setGranter(other, limits, UNTIL_, ballots);
        assertEq(abi.encode(blessing.limitsOf(other)), abi.encode(limits));
        assertEq(blessing.decisions(), 2);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, notaries[0].addr));
        blessing.setGranter(other, limits, UNTIL_, ballots);
    }

    function test_RevertWhen_LimitsAreNotInOrder() external {
        IBlessing.Limits[3] memory all = [_limits(2, 1, 3), _limits(1, 3, 2), _limits(0, 0, 1)];
        address[3] memory at = [address(granter), address(granter), stranger.addr];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IBlessing.BadLimits.selector, at[i]));
            blessing.setGranter(at[i], all[i], UNTIL_, _ballots(2, 0));
        }
    }

    function test_WhenAGranterIsGone() external {
        vm.etch(address(granter), "");
        _admit(address(granter), _limits(0, 0, 0));
        assertEq(blessing.limitsOf(address(granter)).perPeriod, 0);
    }
}

contract Empty {}
