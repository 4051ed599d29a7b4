// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {TestDollar} from "../../../src/examples/TestDollar.sol";
import {BonusGranter} from "../../../src/granters/BonusGranter.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {GranterTest} from "../../base/GranterTest.sol";
import {RefusingPayee} from "../../mocks/Payees.sol";
import {OddToken} from "../../mocks/Tokens.sol";

/// @dev A payee that tries to get more while it is paid, or refuses.
contract Greedy {
    BonusGranter private _granter;
    bool private _refuses;
    bytes4 public answer;

    constructor(BonusGranter granter, bool refuses) {
        (_granter, _refuses) = (granter, refuses);
    }

    receive() external payable {
        if (_refuses) revert("no");
        (bool success, bytes memory why) = address(_granter).call(abi.encodeCall(_granter.fund, ()));
        if (!success) answer = bytes4(why);
    }
}

contract BonusGranterTest is GranterTest {
    uint256 private constant START = 1_800_000_000;
    uint64 private constant UNTIL = uint64(START + 365 days);
    BonusGranter private granter;
    address private payee = makeAddr("payee");
    address private rest = makeAddr("rest");

    function _limits() private pure returns (BonusGranter.Limits memory) {
        return BonusGranter.Limits({perJob: 2 ether, perProvider: 3 ether, perPeriod: 5 ether, period: 30 days});
    }

    function setUp() external {
        vm.warp(START - START % 30 days);
        granter = _deploy(address(0));
        vm.deal(address(this), 100 ether);
        granter.fund{value: 20 ether}();
    }

    function _deploy(address asset) private returns (BonusGranter) {
        return
            BonusGranter(
                deployCode("BonusGranter.sol:BonusGranter", abi.encode(blessing, asset, _limits(), rest, UNTIL))
            );
    }

    function _over(BonusGranter.Limit limit, uint256 left, uint256 amount) private pure returns (bytes memory) {
        return abi.encodeWithSelector(BonusGranter.OverLimit.selector, limit, left, amount);
    }

    function _badly(address asset, BonusGranter.Limits memory limits, address to) private {
        vm.expectRevert(BonusGranter.BadSettings.selector);
        new BonusGranter(blessing, asset, limits, to, UNTIL);
    }

    function test_RevertWhen_ItsSettingsAreBad() external {
        BonusGranter.Limits memory l = _limits();
        _badly(address(1), l, rest);
        _badly(address(0), l, address(0));
        _badly(address(0), l, MASKED);
        l.period = 0;
        _badly(address(0), l, rest);
        l = _limits();
        l.perJob = 0;
        _badly(address(0), l, rest);
        l.perJob = l.perProvider + 1;
        _badly(address(0), l, rest);
        l = _limits();
        l.perPeriod = l.perProvider - 1;
        _badly(address(0), l, rest);
    }

    function test_RevertWhen_TheSenderIsNotTheBlessingContract() external {
        _refusesStrangers(granter, _evm(payee), 1);
    }

    function test_WhenTheRecipientCannotBePaid() external {
        _refusesRecipients(granter, _malformed(), 1);
        _refusesRecipients(granter, _filecoinOnly(), 1);
        _refuses(granter, _evm(payee), 0, abi.encodeWithSelector(BonusGranter.NoAmount.selector));
        address no = address(new Greedy(granter, true));
        _refusesToMake(granter, _evm(no), 1, abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, no));
        (uint256 left,) = granter.leftFor(provider);
        assertEq(left, 3 ether, "what failed counts nowhere");
    }

    function test_WhenABonusIsWithinTheBounds() external {
        Grant memory g = _grant(_evm(payee), 2 ether);
        granter.checkGrant(provider, g.recipient, g.amount);
        _expectGranted(granter, g);
        _make(granter, g);
        assertEq(payee.balance, 2 ether);
        _make(granter, _grant(2, _f410(payee), 1 ether));
        assertEq(payee.balance, 3 ether);
        (uint256 left, uint256 leftToAll) = granter.leftFor(provider);
        assertEq(left, 0);
        assertEq(leftToAll, 2 ether);
        assertEq(abi.encode(granter.limits()), abi.encode(_limits()));
    }

    function test_WhenABonusIsOverABound() external {
        _refuses(granter, _evm(payee), 2 ether + 1, _over(BonusGranter.Limit.PerJob, 2 ether, 2 ether + 1));
        _make(granter, _grant(1, _evm(payee), 2 ether));
        _refuses(granter, _evm(payee), 1 ether + 1, _over(BonusGranter.Limit.PerProvider, 1 ether, 1 ether + 1));
        _make(granter, _grant(2, _evm(payee), 1 ether));
        // It is the provider that counts, not where it has its money sent.
        _refuses(granter, _evm(rest), 1, _over(BonusGranter.Limit.PerProvider, 0, 1));
        provider = makeAddr("another provider");
        _make(granter, _grant(3, _evm(payee), 1.5 ether));
        provider = makeAddr("a third provider");
        _refuses(granter, _evm(payee), 0.5 ether + 1, _over(BonusGranter.Limit.PerPeriod, 0.5 ether, 0.5 ether + 1));
        _make(granter, _grant(4, _evm(payee), 0.5 ether));
    }

    function test_WhenAPeriodHasPassed() external {
        _make(granter, _grant(1, _evm(payee), 2 ether));
        _make(granter, _grant(2, _evm(payee), 1 ether));
        vm.warp(block.timestamp + 30 days - 1);
        _refuses(granter, _evm(payee), 1, _over(BonusGranter.Limit.PerProvider, 0, 1));
        vm.warp(block.timestamp + 1);
        _make(granter, _grant(3, _evm(payee), 2 ether));
        _refuses(granter, _evm(payee), 1 ether + 1, _over(BonusGranter.Limit.PerProvider, 1 ether, 1 ether + 1));
    }

    function test_WhenThePoolIsEmpty() external {
        BonusGranter poor = _deploy(address(0));
        _refuses(poor, _evm(payee), 1, abi.encodeWithSelector(BonusGranter.PoolEmpty.selector, 0, 1));
        vm.expectEmit(address(poor));
        emit BonusGranter.Funded(address(this), 1);
        poor.fund{value: 1}();
        _make(poor, _grant(_evm(payee), 1));
        assertEq(payee.balance, 1);
    }

    function test_WhenThePoolHasClosed() external {
        vm.warp(UNTIL);
        vm.expectRevert(abi.encodeWithSelector(BonusGranter.PoolOpen.selector, UNTIL));
        granter.close();
        _make(granter, _grant(1, _evm(payee), 1 ether));
        vm.warp(UNTIL + 1);
        _refuses(granter, _evm(payee), 1, abi.encodeWithSelector(BonusGranter.PoolClosed.selector, UNTIL));
        vm.expectEmit(address(granter));
        emit BonusGranter.Closed(rest, 19 ether);
        vm.prank(payee);
        granter.close();
        assertEq(rest.balance, 19 ether);
    }

    function test_WhenWhomItNamedTakesNoMoney() external {
        vm.etch(rest, type(RefusingPayee).runtimeCode);
        vm.warp(UNTIL);
        vm.prank(rest);
        vm.expectRevert(abi.encodeWithSelector(BonusGranter.PoolOpen.selector, UNTIL));
        granter.closeTo(payee);
        vm.warp(UNTIL + 1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, rest));
        granter.close();
        vm.expectRevert(abi.encodeWithSelector(BonusGranter.NotEntitled.selector, payee));
        vm.prank(payee);
        granter.closeTo(payee);
        address[3] memory nobody = [address(0), MASKED, address(granter)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(rest);
            vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
            granter.closeTo(nobody[i]);
        }
        vm.expectEmit(address(granter));
        emit BonusGranter.Closed(payee, 20 ether);
        vm.prank(rest);
        granter.closeTo(payee);
        assertEq(payee.balance, 20 ether);
    }

    function test_WhenAPayeeCallsBack() external {
        Greedy greedy = new Greedy(granter, false);
        _make(granter, _grant(_evm(address(greedy)), 1 ether));
        assertEq(address(greedy).balance, 1 ether);
        assertEq(greedy.answer(), BonusGranter.Reentered.selector);
    }

    function test_WhenTheAssetIsAToken() external {
        TestDollar dollar = new TestDollar();
        BonusGranter inDollars = _deploy(address(dollar));
        vm.expectRevert(abi.encodeWithSelector(BonusGranter.WrongAsset.selector, address(dollar)));
        inDollars.fund{value: 1}();
        vm.expectRevert(abi.encodeWithSelector(BonusGranter.WrongAsset.selector, address(0)));
        granter.fundToken(1);
        dollar.mint(address(this), 100);
        dollar.approve(address(inDollars), 100);
        inDollars.fundToken(100);
        _make(inDollars, _grant(_evm(payee), 60));
        assertEq(dollar.balanceOf(payee), 60);
        _refuses(inDollars, _evm(payee), 41, abi.encodeWithSelector(BonusGranter.PoolEmpty.selector, 40, 41));
    }

    function test_WhenTheTokenCheats() external {
        OddToken odd = new OddToken();
        BonusGranter inOdd = _deploy(address(odd));
        odd.mint(address(inOdd), 100);
        odd.set(OddToken.Mood.TakesAFee);
        _make(inOdd, _grant(_evm(payee), 50)); // the payee bears it
        odd.set(OddToken.Mood.MovesTooMuch);
        _refusesToMake(inOdd, _evm(payee), 20, abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, 20, 21));
        odd.set(OddToken.Mood.Lies);
        _refusesToMake(inOdd, _evm(payee), 20, abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, 20, 0));
        odd.set(OddToken.Mood.ReturnsFalse);
        _refusesToMake(inOdd, _evm(payee), 20, abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, payee));
        odd.set(OddToken.Mood.ReturnsNothing);
        _make(inOdd, _grant(2, _evm(payee), 20));
    }

    function test_WhenTheTokenCallsBack() external {
        OddToken odd = new OddToken();
        BonusGranter inOdd = _deploy(address(odd));
        odd.mint(address(this), 100);
        bytes[] memory attempts = new bytes[](2);
        (attempts[0], attempts[1]) = (abi.encodeCall(inOdd.fundToken, (1)), abi.encodeCall(inOdd.close, ()));
        odd.setAttempts(address(inOdd), attempts);
        odd.set(OddToken.Mood.CallsBack);
        inOdd.fundToken(60);
        _make(inOdd, _grant(_evm(payee), 20));
        vm.warp(UNTIL + 1);
        inOdd.close();
        bytes4[] memory answers = odd.answers();
        assertEq(answers.length, 6);
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(answers[i], BonusGranter.Reentered.selector);
        }
        assertEq(odd.balanceOf(payee), 20);
        assertEq(odd.balanceOf(rest), 40);
    }

    /// @dev Whatever is asked for and when: no bound is ever passed, and what was paid is what was granted.
    function testFuzz_NoBoundIsPassed(uint256 seed, uint8 steps) external {
        vm.deal(address(this), 1000 ether);
        granter.fund{value: 1000 ether}();
        uint256[2] memory paid;
        uint256 period = block.timestamp / 30 days;
        uint256 inAll = 0;
        for (uint256 i = 0; i < steps % 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(block.timestamp + seed % 5 days);
            if (block.timestamp / 30 days != period) (period, paid[0], paid[1]) = (block.timestamp / 30 days, 0, 0);
            uint256 who = (seed >> 64) % 2;
            uint256 amount = (seed >> 128) % 2.5 ether;
            provider = vm.addr(who + 1);
            vm.prank(blessing);
            try granter.grant(_grant(i, _evm(payee), amount)) {
                paid[who] += amount;
                inAll += amount;
                assertLe(amount, 2 ether);
                assertGt(amount, 0);
            } catch {
                bool allowed = amount != 0 && amount <= 2 ether && paid[who] + amount <= 3 ether
                    && paid[0] + paid[1] + amount <= 5 ether && block.timestamp <= UNTIL;
                assertFalse(allowed, "refused without a reason");
            }
            assertLe(paid[who], 3 ether);
            assertLe(paid[0] + paid[1], 5 ether);
        }
        assertEq(payee.balance, inAll);
    }
}
