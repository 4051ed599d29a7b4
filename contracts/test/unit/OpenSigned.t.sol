// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";
import {Wallet} from "../mocks/Wallets.sol";

contract OpenSignedTest is MarketTest {
    function _fails(ILotaMarket.Terms memory terms, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, terms.client));
        vm.prank(stranger.addr);
        market.openSigned(terms, "", signature);
    }

    function test_RevertWhen_TheTermsHaveAFault() external {
        ILotaMarket.Terms memory t = _terms();
        t.rampPeriod = 0;
        bytes memory signature = _signed(t);
        _expectBadTerms(ILotaMarket.TermsFault.ZeroRampPeriod);
        market.openSigned(t, "", signature);
    }

    function test_RevertGiven_TheSaltIsSpent() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        market.openSigned(t, "", signature);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, t.salt));
        market.openSigned(t, "", signature);
    }

    function test_RevertWhen_LockByIsOutOfReach() external {
        ILotaMarket.Terms memory t = _terms();
        (t.rampStart, t.lockBy) = (0, uint64(START - 1));
        bytes memory signature = _signed(t);
        _expectTooLate(START, START - 1);
        market.openSigned(t, "", signature);
        t.lockBy = uint64(START + 365 days + 2);
        signature = _signed(t);
        _expectTooEarly(START, START + 2);
        market.openSigned(t, "", signature);
    }

    function test_RevertWhen_TheSpecDoesNotMatch() external {
        bytes memory signature = _signed(_terms());
        bytes32 found = sha256("other");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecMismatch.selector, found, specDigest));
        market.openSigned(_terms(), "other", signature);
    }

    function test_RevertWhen_TheChainIsAnother() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        vm.chainId(314);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 314));
        market.openSigned(t, "", signature);
    }

    function test_RevertWhen_TheSignatureIsByAnother() external {
        ILotaMarket.Terms memory t = _terms();
        _fails(t, _sign(stranger, _jobId(t)));
    }

    function test_RevertWhen_TheSignatureIsOverOtherTerms() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        t.maxPrice -= 1 gwei;
        _fails(t, signature);
    }

    function test_RevertWhen_TheSignatureIsMalleable() external {
        ILotaMarket.Terms memory t = _terms();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(client.key, _jobId(t));
        bytes32 high = bytes32(ORDER - uint256(s));
        assertEq(ecrecover(_jobId(t), v == 27 ? 28 : 27, r, high), client.addr, "the precompile takes it");
        _fails(t, abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)));
    }

    function test_RevertWhen_TheSignatureIsMalformed() external {
        ILotaMarket.Terms memory t = _terms();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(client.key, _jobId(t));
        _fails(t, "");
        _fails(t, abi.encodePacked(r, s, v - 27));
        _fails(t, abi.encodePacked(r, s, uint8(29)));
        _fails(t, abi.encodePacked(r, s, v, uint8(0)));
        _fails(t, abi.encodePacked(r, bytes31(s)));
        _fails(t, abi.encodePacked(bytes32(0), s, v));
        _fails(t, abi.encodePacked(r, bytes32(0), v));
        _fails(t, abi.encodePacked(bytes32(type(uint256).max), s, v));
    }

    function test_WhenTheSignatureIsShort() external {
        for (uint256 salt = 10; salt < 14; ++salt) {
            ILotaMarket.Terms memory t = _terms(client.addr, salt);
            (bytes32 r, bytes32 yParityAndS) = vm.signCompact(client.key, _jobId(t));
            _fails(t, abi.encodePacked(r, yParityAndS ^ bytes32(uint256(1) << 255)));
            market.openSigned(t, "", abi.encodePacked(r, yParityAndS));
            _assertStatus(t, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
        }
    }

    function test_WhenTheClientIsAWalletThatAccepts() external {
        Wallet wallet = new Wallet();
        _fund(address(wallet), 10 ether);
        ILotaMarket.Terms memory t = _terms(address(wallet), 1);
        wallet.set(Wallet.Answer.Magic, _jobId(t));
        market.openSigned(t, "", "by the wallet");
        assertEq(market.balanceOf(address(wallet)), 8 ether);

        t.salt = 2;
        wallet.set(Wallet.Answer.ReturnBomb, _jobId(t)); // the word that counts comes first
        market.openSigned(t, "", "by the wallet");
        _assertStatus(t, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
    }

    function test_RevertWhen_TheClientIsAWalletThatDoesNotAccept() external {
        Wallet wallet = new Wallet();
        _fund(address(wallet), 10 ether);
        ILotaMarket.Terms memory t = _terms(address(wallet), 1);
        _fails(t, "by the wallet"); // knows no digest
        Wallet.Answer[8] memory answers = [
            Wallet.Answer.Wrong,
            Wallet.Answer.OnlyFourBytes,
            Wallet.Answer.DirtyMagic,
            Wallet.Answer.Nothing,
            Wallet.Answer.Revert,
            Wallet.Answer.BurnGas,
            Wallet.Answer.RevertBomb,
            Wallet.Answer.ChangeState
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            wallet.set(answers[i], _jobId(t));
            _fails(t, "by the wallet");
        }
        wallet.set(Wallet.Answer.Magic, _jobId(t));
        _fails(t, "by another");
    }

    /// @dev EIP-7702: the account of a key runs code, here such that says no to everything.
    function test_WhenTheClientHasDelegatedCode() external {
        Wallet wallet = new Wallet();
        vm.etch(client.addr, address(wallet).code);
        ILotaMarket.Terms memory t = _terms();
        market.openSigned(t, "", _signed(t));
        _assertStatus(t, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
        _fails(_terms(client.addr, 2), _sign(stranger, _jobId(_terms(client.addr, 2))));
    }

    function test_RevertWhen_ThereIsTooLittleGasForTheWallet() external {
        Wallet wallet = new Wallet();
        _fund(address(wallet), 10 ether);
        ILotaMarket.Terms memory t = _terms(address(wallet), 1);
        wallet.set(Wallet.Answer.Magic, _jobId(t));
        bytes memory data = abi.encodeCall(ILotaMarket.openSigned, (t, "", "by the wallet"));
        (bool success, bytes memory why) = address(market).call{gas: SIGNATURE_GAS + 20_000}(data);
        assertFalse(success);
        assertEq(bytes4(why), ILotaMarket.InsufficientGas.selector);
        (success,) = address(market).call{gas: SIGNATURE_GAS + 60_000}(data);
        assertTrue(success, "with enough");
    }

    function test_RevertWhen_ValueIsSent() external {
        ILotaMarket.Terms memory t = _terms();
        deal(address(this), 1);
        (bool success, bytes memory why) =
            address(market).call{value: 1}(abi.encodeCall(ILotaMarket.openSigned, (t, "", _signed(t))));
        assertFalse(success);
        assertEq(why.length, 0);
    }

    function test_RevertWhen_TheBalanceIsTooSmall() external {
        _drain(client.addr);
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        _fund(stranger.addr, 100 ether);
        _expectPoor(client.addr, 0, 2 ether);
        vm.prank(stranger.addr);
        market.openSigned(t, "", signature);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobOpened(_jobId(t), client.addr, address(0), t, "spec");
        vm.prank(stranger.addr);
        assertEq(market.openSigned(t, "spec", signature), _jobId(t));
        _assertStatus(t, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
        assertEq(market.balanceOf(client.addr), FUNDS - 2 ether);
        assertTrue(market.isSpent(client.addr, t.salt));
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _terms();
        _drain(client.addr);
        vm.prank(client.addr);
        market.revoke(0, uint64(t.salt) + 1);
        vm.warp(START + 1 days);
        vm.chainId(1);
        t.specCodec = 1;

        _expectBadTerms(ILotaMarket.TermsFault.SpecCodec);
        market.openSigned(t, "other", "");
        t.specCodec = 0x55;
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, t.salt));
        market.openSigned(t, "other", "");
        t.salt = 2;
        _expectTooLate(START + 1 days, t.lockBy);
        market.openSigned(t, "other", "");
        t.lockBy = uint64(START + 2 days);
        bytes32 found = sha256("other");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecMismatch.selector, found, specDigest));
        market.openSigned(t, "other", "");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 1));
        market.openSigned(t, "", "");
        vm.chainId(31415926);
        _fails(t, "");
        bytes memory signature = _signed(t);
        _expectPoor(client.addr, 0, 2 ether);
        market.openSigned(t, "", signature);
    }
}
