// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Vm} from "forge-std/Vm.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract OpenTest is MarketTest {
    uint256 private constant TOO_MUCH = (1 << 48) * 1 gwei;

    function _fails(ILotaMarket.Terms memory terms, ILotaMarket.TermsFault fault) private {
        _expectBadTerms(fault);
        vm.prank(client.addr);
        market.open(terms, "");
    }

    /// @dev From the last fault to the first, each added to those before: the first in order must be named.
    function test_RevertWhen_TheTermsHaveAFault() external {
        ILotaMarket.Terms memory t = _terms();
        t.callbackGas = 2300;
        _fails(t, ILotaMarket.TermsFault.CallbackGas);
        t.callbackGas = MAX_CALLBACK_GAS + 1;
        _fails(t, ILotaMarket.TermsFault.CallbackGas);

        t.ruleFor = MIN_WINDOW - 1;
        _fails(t, ILotaMarket.TermsFault.RuleFor);
        t.ruleFor = 90 days + 1;
        _fails(t, ILotaMarket.TermsFault.RuleFor);
        t.ruleFor = 0; // allowed without an arbiter only
        _fails(t, ILotaMarket.TermsFault.RuleFor);

        t.reviewFor = MIN_WINDOW - 1;
        _fails(t, ILotaMarket.TermsFault.ReviewFor);
        t.reviewFor = 90 days + 1;
        _fails(t, ILotaMarket.TermsFault.ReviewFor);
        t.reviewFor = 0;
        _fails(t, ILotaMarket.TermsFault.ReviewFor);

        t.runFor = MIN_WINDOW - 1;
        _fails(t, ILotaMarket.TermsFault.RunFor);
        t.runFor = 90 days + 1;
        _fails(t, ILotaMarket.TermsFault.RunFor);
        t.runFor = 0;
        _fails(t, ILotaMarket.TermsFault.RunFor);

        t.rampStart = t.lockBy + 1;
        _fails(t, ILotaMarket.TermsFault.RampStart);

        t.rampPeriod = 0;
        _fails(t, ILotaMarket.TermsFault.ZeroRampPeriod);

        t.minPrice = t.maxPrice + 1 gwei;
        _fails(t, ILotaMarket.TermsFault.PriceOrder);

        t.maxPrice = TOO_MUCH;
        _fails(t, ILotaMarket.TermsFault.AmountTooLarge);
        (t.maxPrice, t.minPrice) = (1 ether, TOO_MUCH);
        _fails(t, ILotaMarket.TermsFault.AmountTooLarge);
        (t.minPrice, t.collateral) = (2 ether, TOO_MUCH);
        _fails(t, ILotaMarket.TermsFault.AmountTooLarge);
        t.collateral = type(uint256).max - type(uint256).max % 1 gwei;
        _fails(t, ILotaMarket.TermsFault.AmountTooLarge);

        t.minPrice = 2 ether + 1;
        _fails(t, ILotaMarket.TermsFault.NotWholeQuanta);
        (t.minPrice, t.maxPrice) = (2 ether, 1 ether + 999_999_999);
        _fails(t, ILotaMarket.TermsFault.NotWholeQuanta);
        (t.maxPrice, t.collateral) = (1 ether, type(uint256).max);
        _fails(t, ILotaMarket.TermsFault.NotWholeQuanta);

        t.specCodec = 0x70;
        _fails(t, ILotaMarket.TermsFault.SpecCodec);
        t.specCodec = 0;
        _fails(t, ILotaMarket.TermsFault.SpecCodec);

        t.arbiter = MASKED;
        _fails(t, ILotaMarket.TermsFault.MaskedId);
        (t.arbiter, t.matcher) = (address(0), MASKED);
        _fails(t, ILotaMarket.TermsFault.MaskedId);
        (t.matcher, t.client) = (address(0), MASKED);
        _fails(t, ILotaMarket.TermsFault.MaskedId);

        t.client = address(0);
        _fails(t, ILotaMarket.TermsFault.ZeroClient);
    }

    /// @dev The fault of the audit: a stranger's lie is paid then, so at least nobody waits for it.
    function test_RevertWhen_ThereAreWindowsButNoArbiter() external {
        ILotaMarket.Terms memory t = _unreviewed();
        t.ruleFor = MIN_WINDOW;
        _fails(t, ILotaMarket.TermsFault.RuleFor);
        t.reviewFor = MIN_WINDOW;
        _fails(t, ILotaMarket.TermsFault.ReviewFor);
    }

    function test_WhenTheClientIsAMaskedIdOfItsOwn() external {
        _fund(stranger.addr, 0);
        deal(MASKED, 2 ether);
        ILotaMarket.Terms memory t = _terms(MASKED, 1);
        vm.prank(MASKED);
        market.open{value: 2 ether}(t, "");
        _assertStatus(t, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
        // One bit off, and it is an address like any other.
        address[3] memory others = [
            address(uint160(MASKED) ^ (1 << 64)), address(uint160(MASKED) ^ (1 << 152)), address(uint160(MASKED) >> 1)
        ];
        for (uint256 i = 0; i < 3; ++i) {
            t = _terms(client.addr, 1 + i);
            t.arbiter = others[i];
            _open(t);
        }
    }

    function test_RevertWhen_TheSaltIsBeyondItsWindow() external {
        uint256[4] memory salts = [uint256(64), type(uint64).max, _lane(5) + 64, type(uint256).max];
        for (uint256 i = 0; i < 4; ++i) {
            ILotaMarket.Terms memory t = _terms(client.addr, salts[i]);
            vm.expectRevert(
                abi.encodeWithSelector(ILotaMarket.SaltTooFar.selector, client.addr, salts[i], salts[i] >> 64 << 64)
            );
            vm.prank(client.addr);
            market.open(t, "");
        }
    }

    function test_WhenTermsAreAtTheirBounds() external {
        _fund(client.addr, TOO_MUCH);
        ILotaMarket.Terms memory t = _terms();
        (t.specCodec, t.callbackGas) = (0x55, MAX_CALLBACK_GAS);
        (t.runFor, t.reviewFor, t.ruleFor) = (MIN_WINDOW, MIN_WINDOW, MIN_WINDOW);
        (t.minPrice, t.maxPrice, t.collateral) = (0, 0, 0);
        (t.rampStart, t.rampPeriod, t.lockBy) = (0, 1, uint64(START));
        _open(t);

        t.salt = 2;
        (t.runFor, t.reviewFor, t.ruleFor) = (90 days, 90 days, 90 days);
        (t.minPrice, t.maxPrice, t.collateral) = (TOO_MUCH - 1 gwei, TOO_MUCH - 1 gwei, TOO_MUCH - 1 gwei);
        t.lockBy = uint64(START + 365 days);
        (t.rampStart, t.rampPeriod) = (t.lockBy, type(uint64).max);
        _open(t);

        t.salt = 3;
        (t.minPrice, t.maxPrice) = (0, 0);
        (t.arbiter, t.reviewFor, t.ruleFor) = (address(0), 0, 0);
        _open(t);
        _assertStatus(t, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
    }

    /// @dev The hash is taken over the words as they come: unclean ones would be other terms that look the same.
    function test_RevertWhen_AFieldHasBitsOutsideOfItsType() external {
        uint8[12] memory fields = [0, 3, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16];
        uint8[12] memory widths = [160, 16, 64, 64, 64, 32, 32, 32, 160, 160, 32, 1];
        for (uint256 i = 0; i < fields.length; ++i) {
            bytes memory data = abi.encodeCall(ILotaMarket.open, (_terms(), ""));
            bytes memory view_ = abi.encodeCall(ILotaMarket.jobIdOf, (_terms()));
            uint256 at = 0x24 + 0x20 * uint256(fields[i]);
            uint256 bit = 1 << widths[i];
            assembly {
                mstore(add(data, at), or(mload(add(data, at)), bit))
                mstore(add(view_, at), or(mload(add(view_, at)), bit))
            }
            vm.prank(client.addr);
            (bool opened,) = address(market).call(data);
            assertFalse(opened, "opened");
            (bool hashed, bytes memory why) = address(market).call(view_);
            assertFalse(hashed, "hashed");
            assertEq(why.length, 0);
        }
    }

    function test_RevertGiven_TheSaltIsSpent() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        bytes memory spent = abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, t.salt);
        vm.startPrank(client.addr);
        vm.expectRevert(spent);
        market.open(t, "");
        t.maxPrice += 1 gwei; // other terms, the same salt
        vm.expectRevert(spent);
        market.open(t, "");
    }

    function test_RevertWhen_TheSenderIsNotTheClient() external {
        _expectWrongSender(stranger.addr, client.addr);
        vm.prank(stranger.addr);
        market.open(_terms(), "");
    }

    function test_RevertWhen_LockByHasPassed() external {
        ILotaMarket.Terms memory t = _terms();
        vm.warp(t.lockBy + 1);
        _expectTooLate(t.lockBy + 1, t.lockBy);
        vm.prank(client.addr);
        market.open(t, "");
    }

    function test_RevertWhen_LockByIsTooFarAhead() external {
        ILotaMarket.Terms memory t = _terms();
        t.lockBy = uint64(START + 365 days + 1);
        _expectTooEarly(START, START + 1);
        vm.prank(client.addr);
        market.open(t, "");
    }

    function test_RevertWhen_TheSpecIsTooLarge() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory spec = new bytes(7169);
        t.spec = sha256(spec);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecTooLarge.selector, 7169));
        vm.prank(client.addr);
        market.open(t, spec);
    }

    function test_RevertWhen_TheSpecDoesNotMatch() external {
        bytes32 found = sha256("other");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecMismatch.selector, found, specDigest));
        vm.prank(client.addr);
        market.open(_terms(), "other");
    }

    function test_RevertWhen_TheBalanceIsTooSmall() external {
        _drain(client.addr);
        _fund(client.addr, 2 ether - 1);
        _expectPoor(client.addr, 2 ether - 1, 2 ether);
        vm.prank(client.addr);
        market.open(_terms(), "");
    }

    function test_WhenValueIsSent() external {
        _drain(client.addr);
        deal(client.addr, 2.5 ether);
        ILotaMarket.Terms memory t = _terms();
        vm.expectEmit(address(market));
        emit ILotaMarket.Deposited(client.addr, client.addr, 2.5 ether);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobOpened(_jobId(t), client.addr, address(0), t, "");
        vm.prank(client.addr);
        market.open{value: 2.5 ether}(t, "");
        assertEq(market.balanceOf(client.addr), 0.5 ether);
    }

    function test_WhenNoValueIsSent() external {
        ILotaMarket.Terms memory t = _withMatcher();
        vm.recordLogs();
        vm.prank(client.addr);
        assertEq(market.open(t, ""), _jobId(t));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        assertEq(logs[0].topics[0], ILotaMarket.JobOpened.selector);
        assertEq(logs[0].topics[1], _jobId(t));
        assertEq(logs[0].topics[2], bytes32(uint256(uint160(client.addr))));
        assertEq(logs[0].topics[3], bytes32(uint256(uint160(matcher.addr))));
        assertEq(logs[0].data, abi.encode(t, bytes("")));
        assertEq(market.balanceOf(client.addr), FUNDS - 2 ether);
        assertTrue(market.isSpent(client.addr, t.salt));
        assertFalse(market.isSpent(client.addr, t.salt + 1));
        ILotaMarket.Deal memory stored = market.dealOf(_jobId(t));
        assertEq(
            abi.encode(stored),
            abi.encode(
                ILotaMarket.Deal(ILotaMarket.Status.Open, ILotaMarket.Reason.None, false, 0, address(0), 0, bytes26(0))
            )
        );
    }

    function test_WhenTheSpecComesAlong() external {
        uint16[6] memory sizes = [1, 31, 32, 33, 4000, 7168];
        for (uint256 i = 0; i < sizes.length; ++i) {
            bytes memory spec = new bytes(sizes[i]);
            for (uint256 j = 0; j < spec.length; ++j) {
                spec[j] = bytes1(uint8(j + 1));
            }
            ILotaMarket.Terms memory t = _terms(client.addr, 10 + i);
            t.spec = sha256(spec);
            vm.expectEmit(address(market));
            emit ILotaMarket.JobOpened(_jobId(t), client.addr, address(0), t, spec);
            vm.prank(client.addr);
            market.open(t, spec);
        }
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _terms();
        _drain(client.addr);
        bytes memory large = new bytes(7169);
        vm.prank(client.addr);
        market.revoke(0, uint64(t.salt) + 1);
        vm.warp(START + 1 days);
        t.runFor = 0;

        _expectBadTerms(ILotaMarket.TermsFault.RunFor);
        market.open(t, large);
        t.runFor = 1 days;
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, t.salt));
        market.open(t, large);
        t.salt = 2;
        _expectWrongSender(address(this), client.addr);
        market.open(t, large);
        vm.startPrank(client.addr);
        _expectTooLate(START + 1 days, t.lockBy);
        market.open(t, large);
        t.lockBy = uint64(START + 2 days);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecTooLarge.selector, 7169));
        market.open(t, large);
        bytes32 found = sha256("x");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecMismatch.selector, found, specDigest));
        market.open(t, "x");
        _expectPoor(client.addr, 0, 2 ether);
        market.open(t, "spec");
    }
}
