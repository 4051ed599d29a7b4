// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";
import {TestGranter} from "../../mocks/Granters.sol";

contract BlessingNominateTest is BlessingTest {
    function _try(ILotaMarket.Terms memory t, IBlessing.Request memory r) private {
        vm.prank(nominator.addr);
        blessing.nominate(t, _receipt(), r);
    }

    function test_RevertWhen_TheTermsKeepNoRecord() external {
        ILotaMarket.Terms memory t = _terms();
        t.keepRecord = false;
        _settleDeal(t);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.NotKept.selector, _jobId(t)));
        _try(t, _request());
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        _try(_terms(), _request());
    }

    function test_RevertGiven_TheDealIsNotSettled() external {
        for (uint256 i = 1; i <= uint256(type(ILotaMarket.Status).max); ++i) {
            ILotaMarket.Status status = ILotaMarket.Status(i);
            if (status == ILotaMarket.Status.Settled) continue;
            ILotaMarket.Terms memory t = _terms(client.addr, _lane(i));
            _bring(t, status);
            vm.expectRevert(abi.encodeWithSelector(IBlessing.NotSettled.selector, _jobId(t), status));
            _try(t, _request());
        }
    }

    function test_RevertGiven_ANominationRuns() external {
        IBlessing.Nomination memory n = _nominate();
        bytes memory wanted = abi.encodeWithSelector(IBlessing.AlreadyNominated.selector, n.jobId, 1);
        vm.expectRevert(wanted);
        _try(_terms(), _request());
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Approve);
        vm.expectRevert(wanted);
        _try(_terms(), _request());
    }

    function test_RevertGiven_TheJobWasGranted() external {
        IBlessing.Nomination memory n = _blessed();
        blessing.grant(n);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.AlreadyGranted.selector, n.jobId));
        _try(_terms(), _request());
    }

    function test_RevertWhen_TheReceiptIsAnother() external {
        _settleDeal(_terms());
        ILotaMarket.Receipt memory r = _receipt();
        r.provider = stranger.addr;
        _expectMismatch(_terms());
        vm.prank(nominator.addr);
        blessing.nominate(_terms(), r, _request());
    }

    function test_RevertGiven_TheGranterWasNotAdmitted() external {
        _settleDeal(_terms());
        IBlessing.Request memory r = _request();
        r.granter = address(new TestGranter());
        vm.expectRevert(abi.encodeWithSelector(IBlessing.UnknownGranter.selector, r.granter));
        _try(_terms(), r);
    }

    function test_RevertWhen_TheAmountIsZeroOrAboveTheLimitPerJob() external {
        _settleDeal(_terms());
        uint256[3] memory amounts = [uint256(0), AMOUNT + 1, type(uint256).max];
        for (uint256 i = 0; i < 3; ++i) {
            IBlessing.Request memory r = _request();
            r.amount = amounts[i];
            _expectOver(IBlessing.Limit.PerJob, r.amount, AMOUNT);
            _try(_terms(), r);
        }
    }

    function test_RevertWhen_ThePieceIsNone() external {
        _settleDeal(_terms());
        uint64[5] memory sizes = [uint64(0), 64, 127, 129, type(uint64).max];
        for (uint256 i = 0; i < 5; ++i) {
            IBlessing.Request memory r = _request();
            r.pieceSize = sizes[i];
            vm.expectRevert(abi.encodeWithSelector(IBlessing.BadPiece.selector, r.piece, r.pieceSize));
            _try(_terms(), r);
        }
        IBlessing.Request memory none = _request();
        none.piece = 0;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.BadPiece.selector, 0, none.pieceSize));
        _try(_terms(), none);
    }

    function test_RevertGiven_TheProviderIsNotRegistered() external {
        _settleDeal(_terms());
        vm.prank(provider.addr);
        blessing.register(address(granter), "", 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.NotRegistered.selector, provider.addr, address(granter)));
        _try(_terms(), _request());
    }

    function test_RevertGiven_TheProviderHasRegisteredASmallerShare() external {
        _settleDeal(_terms());
        IBlessing.Request memory r = _request();
        r.minShare = SHARE + 1;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.ShareTooSmall.selector, SHARE, SHARE + 1));
        _try(_terms(), r);
        // The provider gets in first.
        r.minShare = SHARE;
        vm.prank(provider.addr);
        blessing.register(address(granter), recipient, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.ShareTooSmall.selector, 0, SHARE));
        _try(_terms(), r);
        vm.prank(provider.addr);
        blessing.register(address(granter), recipient, RATE, 1 ether);
        _try(_terms(), r);
        _assertPhase(_jobId(_terms()), IBlessing.Phase.Nominated, 1);
    }

    function test_RevertGiven_TheProviderSetTooLittleAside() external {
        _settleDeal(_terms());
        vm.prank(provider.addr);
        blessing.takeBack(ACCOUNT / 2 - SHARE + 1);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.InsufficientPool.selector, provider.addr, SHARE - 1, SHARE));
        _try(_terms(), _request());
    }

    function test_RevertGiven_TheNominatorIsPoor() external {
        _settleDeal(_terms());
        vm.prank(nominator.addr);
        blessing.withdraw(nominator.addr, ACCOUNT - DEPOSIT - BOUNTY + 1);
        _expectPoor(nominator.addr, DEPOSIT + BOUNTY - 1, DEPOSIT + BOUNTY);
        _try(_terms(), _request());
        IBlessing.Request memory r = _request();
        r.bounty = type(uint256).max;
        _expectPoor(nominator.addr, DEPOSIT + BOUNTY - 1, type(uint256).max);
        _try(_terms(), r);
    }

    function test_RevertGiven_TheGranterCouldNot() external {
        _settleDeal(_terms());
        granter.set(TestGranter.Mood.Refuses);
        vm.expectRevert(
            abi.encodeWithSelector(IBlessing.GrantRefused.selector, address(granter), TestGranter.No.selector)
        );
        _try(_terms(), _request());
    }

    function test_RevertGiven_TheGranterHasNoCodeAnyMore() external {
        _settleDeal(_terms());
        vm.etch(address(granter), "");
        vm.expectRevert(abi.encodeWithSelector(IBlessing.GrantRefused.selector, address(granter), bytes4(0)));
        _try(_terms(), _request());
    }

    function test_WhenAllIsWell() external {
        _settleDeal(_terms());
        IBlessing.Nomination memory n = _nomination(_terms(), 1);
        vm.expectEmit(address(blessing));
        emit IBlessing.JobNominated(n.jobId, nominator.addr, n);
        _try(_terms(), _request());
        _assertPhase(n.jobId, IBlessing.Phase.Nominated, 1);
        assertEq(blessing.recordOf(n.jobId).nomination, _hash(n));
        assertEq(blessing.hashOf(n), _hash(n));
        uint256 pool = ACCOUNT / 2 - SHARE;
        _assertMoney(ACCOUNT - DEPOSIT - BOUNTY, 0, pool, 0, DEPOSIT + BOUNTY + SHARE);
        assertEq(blessing.balanceOf(provider.addr), ACCOUNT / 2, "free balances are not touched");
    }

    function test_WhenTheShareIsCapped() external {
        _settleDeal(_terms());
        vm.prank(provider.addr);
        blessing.register(address(granter), recipient, type(uint128).max, 7);
        IBlessing.Nomination memory n = _nomination(_terms(), 1);
        n.share = 7;
        _try(_terms(), _request());
        assertEq(blessing.recordOf(n.jobId).nomination, _hash(n));
        assertEq(blessing.poolOf(provider.addr), ACCOUNT / 2 - 7);
    }

    function test_GivenANominationEnded() external {
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 0, IBlessing.Choice.Reject);
        _vote(n, 1, IBlessing.Choice.Reject);
        IBlessing.Nomination memory next = _nominate();
        assertEq(next.round, 2);
        _assertPhase(n.jobId, IBlessing.Phase.Nominated, 2);
        assertEq(blessing.recordOf(n.jobId).nomination, _hash(next));
        _assertVotes(n.jobId, 0, 0);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        vm.prank(provider.addr);
        blessing.register(address(granter), "", 0, 0);
        granter.set(TestGranter.Mood.Refuses);
        IBlessing.Request memory r = IBlessing.Request(stranger.addr, 0, 0, 0, type(uint256).max, type(uint256).max);
        ILotaMarket.Terms memory t = _terms();
        t.keepRecord = false;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.NotKept.selector, _jobId(t)));
        _try(t, r);
        t = _terms();
        _expectUnknown(t);
        _try(t, r);
        _settleDeal(t);
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.provider = stranger.addr;
        _expectMismatch(t);
        blessing.nominate(t, receipt, r);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.UnknownGranter.selector, stranger.addr));
        _try(t, r);
        r.granter = address(granter);
        _expectOver(IBlessing.Limit.PerJob, 0, AMOUNT);
        _try(t, r);
        r.amount = AMOUNT;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.BadPiece.selector, 0, 0));
        _try(t, r);
        (r.piece, r.pieceSize) = (bytes32(uint256(1)), 128);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.NotRegistered.selector, provider.addr, address(granter)));
        _try(t, r);
        vm.startPrank(provider.addr);
        blessing.register(address(granter), recipient, type(uint128).max, type(uint128).max);
        vm.stopPrank();
        uint256 share = uint256(type(uint128).max) * AMOUNT / 1e18;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.ShareTooSmall.selector, share, type(uint256).max));
        _try(t, r);
        r.minShare = 0;
        vm.expectRevert(abi.encodeWithSelector(IBlessing.InsufficientPool.selector, provider.addr, ACCOUNT / 2, share));
        _try(t, r);
        vm.startPrank(provider.addr);
        blessing.register(address(granter), recipient, 0, 0);
        vm.stopPrank();
        _expectPoor(nominator.addr, ACCOUNT, type(uint256).max);
        _try(t, r);
        r.bounty = 0;
        vm.expectRevert(
            abi.encodeWithSelector(IBlessing.GrantRefused.selector, address(granter), TestGranter.No.selector)
        );
        _try(t, r);
    }
}
