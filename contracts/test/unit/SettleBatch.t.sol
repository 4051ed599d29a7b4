// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";
import {Wallet} from "../mocks/Wallets.sol";

contract SettleBatchTest is MarketTest {
    function _good(uint256 salt) private view returns (ILotaMarket.BatchEntry memory) {
        return _entry(_unopened(client.addr, salt), _receipt());
    }

    function _only(ILotaMarket.BatchEntry memory entry) private pure returns (ILotaMarket.BatchEntry[] memory list) {
        list = new ILotaMarket.BatchEntry[](1);
        list[0] = entry;
    }

    /// @dev Terms as batches take them.
    function _unopened(address by, uint256 salt) private view returns (ILotaMarket.Terms memory t) {
        t = _terms(by, salt);
        t.keepRecord = false;
    }

    /// @dev The entry is skipped for this reason, between two that are settled.
    function _skipped(ILotaMarket.BatchEntry memory entry, bytes4 why) private {
        uint256 salt = _lane(9);
        while (market.isSpent(client.addr, salt)) ++salt;
        ILotaMarket.BatchEntry[] memory list = new ILotaMarket.BatchEntry[](3);
        (list[0], list[1], list[2]) = (_good(salt), entry, _good(salt + 1));
        uint256 before = market.balanceOf(provider.addr);
        vm.expectEmit(address(market));
        emit ILotaMarket.BatchSettled(
            _jobId(list[0].terms),
            client.addr,
            provider.addr,
            list[0].terms.salt,
            1.1 ether,
            _result().output,
            _result().exitCode
        );
        vm.expectEmit(address(market));
        emit ILotaMarket.BatchSkipped(_jobId(entry.terms), why);
        vm.expectEmit(address(market));
        emit ILotaMarket.BatchSettled(
            _jobId(list[2].terms),
            client.addr,
            provider.addr,
            list[2].terms.salt,
            1.1 ether,
            _result().output,
            _result().exitCode
        );
        vm.prank(stranger.addr);
        market.settleBatch(list);
        assertEq(market.balanceOf(provider.addr), before + 2.2 ether);
    }

    function test_RevertWhen_ThereAreTooManyEntries() external {
        ILotaMarket.BatchEntry[] memory list = new ILotaMarket.BatchEntry[](63);
        vm.chainId(1); // the number comes first
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooMany.selector, 63));
        market.settleBatch(list);
    }

    function test_WhenThereAreNoEntries() external {
        market.settleBatch(new ILotaMarket.BatchEntry[](0));
    }

    function test_RevertWhen_TheChainIsAnother() external {
        ILotaMarket.BatchEntry[] memory list = _only(_good(1));
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 1));
        market.settleBatch(list);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.BatchEntry[] memory list = new ILotaMarket.BatchEntry[](3);
        for (uint256 i = 0; i < 3; ++i) {
            list[i] = _good(1 + 30 * i);
            vm.expectEmit(address(market));
            emit ILotaMarket.BatchSettled(
                _jobId(list[i].terms),
                client.addr,
                provider.addr,
                list[i].terms.salt,
                1.1 ether,
                _result().output,
                _result().exitCode
            );
        }
        vm.prank(stranger.addr);
        market.settleBatch(list);
        _assertBalances(FUNDS - 3.3 ether, FUNDS + 3.3 ether);
        for (uint256 i = 0; i < 3; ++i) {
            assertTrue(market.isSpent(client.addr, 1 + 30 * i));
            _assertStatus(list[i].terms, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
        }
    }

    function test_WhenAnEntryAsksForACallback() external {
        ILotaMarket.Terms memory t = _unopened(client.addr, 1);
        t.callbackGas = 1;
        _skipped(_entry(t, _receipt()), ILotaMarket.BadTerms.selector);
        assertFalse(market.isSpent(client.addr, t.salt));
    }

    function test_WhenAnEntryAsksForItsEndToBeKept() external {
        ILotaMarket.Terms memory t = _terms();
        _skipped(_entry(t, _receipt()), ILotaMarket.BadTerms.selector);
        assertFalse(market.isSpent(client.addr, t.salt));
    }

    function test_WhenAPartyOfAnEntryIsAMaskedId() external {
        ILotaMarket.Terms memory t = _unopened(client.addr, 1);
        t.arbiter = MASKED;
        _skipped(_entry(t, _receipt()), ILotaMarket.BadTerms.selector);
        (t.arbiter, t.matcher) = (address(0), MASKED);
        _skipped(_entry(t, _receipt()), ILotaMarket.BadTerms.selector);
        (t.matcher, t.client) = (address(0), MASKED);
        _skipped(_entry(t, _receipt()), ILotaMarket.BadTerms.selector);
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.provider = MASKED;
        ILotaMarket.BatchEntry memory entry = _entry(_unopened(client.addr, 1), receipt);
        _skipped(entry, ILotaMarket.InvalidProvider.selector);
        vm.prank(MASKED); // its own id
        market.settleBatch(_only(entry));
        assertEq(market.balanceOf(MASKED), 1.1 ether);
    }

    function test_WhenTheAcceptanceOfAnEntryHasRunOut() external {
        ILotaMarket.BatchEntry memory entry = _good(1);
        vm.warp(UNTIL);
        ILotaMarket.BatchEntry memory last = _good(2);
        market.settleBatch(_only(last));
        assertTrue(market.isSpent(client.addr, 2), "until the last second");
        vm.warp(UNTIL + 1);
        vm.expectEmit(address(market));
        emit ILotaMarket.BatchSkipped(_jobId(entry.terms), ILotaMarket.TooLate.selector);
        market.settleBatch(_only(entry));
        entry.until += 1; // signed, too
        vm.expectEmit(address(market));
        emit ILotaMarket.BatchSkipped(_jobId(entry.terms), ILotaMarket.BadSignature.selector);
        market.settleBatch(_only(entry));
    }

    function test_WhenASaltIsBeyondItsWindow() external {
        _skipped(_good(64), ILotaMarket.SaltTooFar.selector);
        _skipped(_good(type(uint64).max), ILotaMarket.SaltTooFar.selector);
        market.settleBatch(_only(_good(0)));
        assertTrue(market.isSpent(client.addr, 0));
        market.settleBatch(_only(_good(64)));
        assertTrue(market.isSpent(client.addr, 64));
    }

    function test_WhenASaltWasSpentByAnotherWay() external {
        _open(_terms(client.addr, 1));
        _skipped(_good(1), ILotaMarket.SaltSpent.selector);
        vm.prank(client.addr);
        market.revoke(0, 3);
        _skipped(_good(2), ILotaMarket.SaltSpent.selector);
    }

    function test_WhenTheSameEntryComesTwice() external {
        ILotaMarket.BatchEntry[] memory list = new ILotaMarket.BatchEntry[](2);
        (list[0], list[1]) = (_good(1), _good(1));
        market.settleBatch(list);
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
        market.settleBatch(list);
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
        _skipped(list[0], ILotaMarket.SaltSpent.selector);
    }

    function test_WhenTheProviderOfAnEntryIsZero() external {
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.provider = address(0);
        _skipped(_entry(_unopened(client.addr, 1), receipt), ILotaMarket.InvalidProvider.selector);
    }

    function test_WhenThePriceOfAnEntryIsOutOfRange() external {
        ILotaMarket.Receipt memory receipt = _receipt();
        uint256[4] memory prices = [1 ether - 1 gwei, 2 ether + 1 gwei, 1 ether + 1, type(uint256).max];
        for (uint256 i = 0; i < 4; ++i) {
            receipt.price = prices[i];
            _skipped(_entry(_unopened(client.addr, 1), receipt), ILotaMarket.PriceOutOfRange.selector);
        }
    }

    function test_WhenTheInlineDataOfAnEntryIsTooLarge() external {
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.result.inlineData = new bytes(1025);
        _skipped(_entry(_unopened(client.addr, 1), receipt), ILotaMarket.InlineTooLarge.selector);
    }

    function test_WhenTheSignatureOfAnEntryIsWrong() external {
        ILotaMarket.BatchEntry memory entry = _good(1);
        entry.signature = _sign(stranger, _acceptance(entry.terms, entry.receipt));
        _skipped(entry, ILotaMarket.BadSignature.selector);
        entry.signature = _signed(entry.terms); // the terms' signature accepts no result
        _skipped(entry, ILotaMarket.BadSignature.selector);
        entry = _good(1);
        entry.receipt.price -= 1 gwei;
        _skipped(entry, ILotaMarket.BadSignature.selector);
        entry = _good(1);
        entry.receipt.result.exitCode += 1;
        _skipped(entry, ILotaMarket.BadSignature.selector);
        entry = _good(1);
        entry.terms.arbiter = address(0);
        _skipped(entry, ILotaMarket.BadSignature.selector);
    }

    function test_WhenTheClientOfAnEntryIsZero() external {
        ILotaMarket.BatchEntry memory entry = _good(1);
        entry.terms.client = address(0);
        entry.signature = new bytes(65); // nobody's: the precompile would answer zero
        _skipped(entry, ILotaMarket.BadSignature.selector);
    }

    function test_WhenTheClientOfAnEntryIsPoor() external {
        ILotaMarket.Terms memory t = _unopened(stranger.addr, 1);
        ILotaMarket.BatchEntry memory entry =
            ILotaMarket.BatchEntry(t, _receipt(), UNTIL, _sign(stranger, _acceptance(t, _receipt())));
        _skipped(entry, ILotaMarket.InsufficientBalance.selector);
        _fund(stranger.addr, 1.1 ether);
        market.settleBatch(_only(entry));
        assertEq(market.balanceOf(stranger.addr), 0);
        assertTrue(market.isSpent(stranger.addr, 1));
    }

    function test_WhenAnEntryIsWrongInEveryWay() external {
        ILotaMarket.Terms memory t = _unopened(stranger.addr, 1);
        ILotaMarket.Receipt memory receipt = _receipt();
        (t.callbackGas, receipt.provider, receipt.price) = (1, address(0), 0);
        receipt.result.inlineData = new bytes(1025);
        vm.prank(stranger.addr);
        market.revoke(0, 2);
        ILotaMarket.BatchEntry memory entry = ILotaMarket.BatchEntry(t, receipt, UNTIL, "");
        _skipped(entry, ILotaMarket.BadTerms.selector);
        entry.terms.callbackGas = 0;
        _skipped(entry, ILotaMarket.SaltSpent.selector);
        entry.terms.salt = 2 + 64;
        _skipped(entry, ILotaMarket.SaltTooFar.selector);
        (entry.terms.salt, entry.until) = (2, uint64(START - 1));
        _skipped(entry, ILotaMarket.TooLate.selector);
        entry.until = UNTIL;
        _skipped(entry, ILotaMarket.InvalidProvider.selector);
        entry.receipt.provider = provider.addr;
        _skipped(entry, ILotaMarket.PriceOutOfRange.selector);
        entry.receipt.price = 1 ether;
        _skipped(entry, ILotaMarket.InlineTooLarge.selector);
        entry.receipt.result.inlineData = "";
        _skipped(entry, ILotaMarket.BadSignature.selector);
        entry.signature = _sign(stranger, _acceptance(entry.terms, entry.receipt));
        _skipped(entry, ILotaMarket.InsufficientBalance.selector);
    }

    function test_WhenTermsBreakBoundsThatMatterToDealsOnly() external {
        ILotaMarket.Terms memory t = _unopened(client.addr, 1);
        (t.lockBy, t.rampPeriod, t.runFor, t.specCodec, t.collateral) = (0, 0, 0, 0, 1);
        (t.matcher, t.minPrice) = (matcher.addr, 3);
        market.settleBatch(_only(_entry(t, _receipt())));
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
    }

    function test_WhenTheClientIsAWallet() external {
        Wallet wallet = new Wallet();
        _fund(address(wallet), 2 ether);
        ILotaMarket.Terms memory t = _unopened(address(wallet), 1);
        ILotaMarket.BatchEntry memory entry = ILotaMarket.BatchEntry(t, _receipt(), UNTIL, "by the wallet");
        _skipped(entry, ILotaMarket.BadSignature.selector);
        wallet.set(Wallet.Answer.Magic, _acceptance(t, _receipt()));
        market.settleBatch(_only(entry));
        assertEq(market.balanceOf(address(wallet)), 0.9 ether);
    }

    function test_WhenWalletsMisbehave() external {
        for (uint256 i = 1; i <= uint256(type(Wallet.Answer).max); ++i) {
            if (Wallet.Answer(i) == Wallet.Answer.ReturnBomb) continue;
            Wallet wallet = new Wallet();
            _fund(address(wallet), 2 ether);
            ILotaMarket.Terms memory t = _unopened(address(wallet), 1);
            wallet.set(Wallet.Answer(i), _acceptance(t, _receipt()));
            _skipped(ILotaMarket.BatchEntry(t, _receipt(), UNTIL, "by the wallet"), ILotaMarket.BadSignature.selector);
        }
    }

    /// @dev Otherwise a gas estimator could settle on too little gas, and the wallet's entry would be left out.
    function test_RevertWhen_ThereIsTooLittleGasForAWallet() external {
        Wallet wallet = new Wallet();
        _fund(address(wallet), 2 ether);
        ILotaMarket.Terms memory t = _unopened(address(wallet), 1);
        wallet.set(Wallet.Answer.Magic, _acceptance(t, _receipt()));
        ILotaMarket.BatchEntry memory entry = ILotaMarket.BatchEntry(t, _receipt(), UNTIL, "by the wallet");
        (bool success, bytes memory why) =
            address(market).call{gas: SIGNATURE_GAS}(abi.encodeCall(ILotaMarket.settleBatch, (_only(entry))));
        assertFalse(success);
        assertEq(bytes4(why), ILotaMarket.InsufficientGas.selector);
    }

    function test_WhenTheClientIsTheProvider() external {
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.provider = client.addr;
        market.settleBatch(_only(_entry(_unopened(client.addr, 1), receipt)));
        _assertBalances(FUNDS, FUNDS);
        assertTrue(market.isSpent(client.addr, 1));
    }

    function test_RevertWhen_ADealIsOpenedAfterwards() external {
        market.settleBatch(_only(_good(1)));
        bytes memory spent = abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, 1);
        bytes memory signature = _signed(_terms());
        vm.expectRevert(spent);
        vm.prank(client.addr);
        market.open(_terms(), "");
        vm.expectRevert(spent);
        market.openSigned(_terms(), "", signature);
        vm.expectRevert(spent);
        vm.prank(provider.addr);
        market.openSignedAndLock(_terms(), "", signature);
    }

    /// @dev A message of Filecoin's has at most 64 KiB; beside the call it has a few hundred bytes.
    function test_WhenTheBatchIsAMessageOfFilecoin() external view {
        ILotaMarket.BatchEntry[] memory list = new ILotaMarket.BatchEntry[](62);
        for (uint256 i = 0; i < 62; ++i) {
            list[i] = _good(i);
            list[i].receipt.result.inlineData = "";
            list[i].signature = new bytes(64);
        }
        assertLt(abi.encodeCall(ILotaMarket.settleBatch, (list)).length, 65_536 - 512);
        for (uint256 i = 0; i < 62; ++i) {
            list[i].signature = new bytes(65);
        }
        uint256 perEntry = 33 * 32;
        uint256 size = abi.encodeCall(ILotaMarket.settleBatch, (list)).length;
        assertGt(size, 65_536, "one fewer of these");
        assertLt(size - perEntry, 65_536 - 512);
    }

    function test_WhenTheBatchIsFull() external {
        ILotaMarket.BatchEntry[] memory list = new ILotaMarket.BatchEntry[](62);
        for (uint256 i = 0; i < 62; ++i) {
            list[i] = _good(i);
        }
        market.settleBatch(list);
        _assertBalances(FUNDS - 68.2 ether, FUNDS + 68.2 ether);
        assertTrue(market.isSpent(client.addr, 61));
        assertFalse(market.isSpent(client.addr, 62));
    }
}
