// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "./Eip712.sol";
import {Test} from "./Test.sol";

/// @title MarketTest: a market, its parties, and deals in every state
abstract contract MarketTest is Test {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant FUNDS = 1000 ether;
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint32 internal constant MIN_WINDOW = 60;
    uint32 internal constant MAX_CALLBACK_GAS = 2_000_000;
    uint32 internal constant CALLBACK_RESERVE = 20_000;
    uint32 internal constant SIGNATURE_GAS = 200_000;
    /// @dev Until when the acceptances of batches may be used.
    uint64 internal constant UNTIL = uint64(START + 1 days);

    /// @dev An actor's id on Filecoin, as an address.
    address internal constant MASKED = address((uint160(0xff) << 152) | 1234);

    ILotaMarket internal market;
    bytes32 internal specDigest; // kept: a call of the precompile would be taken for the call that a test expects

    Account internal client;
    Account internal provider;
    Account internal matcher;
    Account internal arbiter;
    Account internal stranger;

    function setUp() public virtual {
        vm.warp(START);
        specDigest = sha256("spec");
        client = makeAccount("client");
        provider = makeAccount("provider");
        matcher = makeAccount("matcher");
        arbiter = makeAccount("arbiter");
        stranger = makeAccount("stranger");
        market = _deploy();
        address[4] memory funded = [client.addr, provider.addr, matcher.addr, arbiter.addr];
        for (uint256 i = 0; i < funded.length; ++i) {
            _fund(funded[i], FUNDS);
        }
    }

    function _settings() internal pure returns (ILotaMarket.Settings memory) {
        return ILotaMarket.Settings({
            asset: address(0),
            quantum: 1 gwei,
            minWindow: MIN_WINDOW,
            maxCallbackGas: MAX_CALLBACK_GAS,
            callbackReserve: CALLBACK_RESERVE,
            signatureGas: SIGNATURE_GAS
        });
    }

    function _deploy() internal returns (ILotaMarket) {
        return _deploy(_settings());
    }

    function _deploy(ILotaMarket.Settings memory settings) internal returns (ILotaMarket) {
        return ILotaMarket(deployCode("LotaMarket.sol:LotaMarket", abi.encode(settings)));
    }

    /// @dev Puts money into an account's free balance.
    function _fund(address account, uint256 amount) internal {
        deal(address(this), amount);
        market.deposit{value: amount}(account);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Values
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Terms with an arbiter, without a matcher and without a callback, whose end is kept; the ramp began a minute ago.
    function _terms() internal view returns (ILotaMarket.Terms memory) {
        return _terms(client.addr, 1);
    }

    function _terms(address by, uint256 salt) internal view returns (ILotaMarket.Terms memory) {
        return ILotaMarket.Terms({
            client: by,
            salt: salt,
            spec: specDigest,
            specCodec: 0x71,
            minPrice: 1 ether,
            maxPrice: 2 ether,
            rampStart: uint64(START - 60),
            rampPeriod: 600,
            lockBy: uint64(START + 1 hours),
            runFor: 2 hours,
            reviewFor: 3 hours,
            ruleFor: 4 hours,
            collateral: 3 ether,
            matcher: address(0),
            arbiter: arbiter.addr,
            callbackGas: 0,
            keepRecord: true
        });
    }

    /// @dev Terms whose deal settles as soon as a result is submitted.
    function _unreviewed() internal view returns (ILotaMarket.Terms memory terms) {
        terms = _terms();
        (terms.arbiter, terms.reviewFor, terms.ruleFor) = (address(0), 0, 0);
    }

    function _withMatcher() internal view returns (ILotaMarket.Terms memory terms) {
        terms = _terms();
        terms.matcher = matcher.addr;
    }

    function _result() internal pure returns (ILotaMarket.Result memory) {
        return
            ILotaMarket.Result({output: keccak256("output"), exitCode: 7, fuelUsed: 123_456_789, inlineData: "hello"});
    }

    /// @dev The receipt of a deal that the provider locked at START (a tenth of the ramp: 1.1 FIL).
    function _receipt() internal view returns (ILotaMarket.Receipt memory) {
        return ILotaMarket.Receipt({provider: provider.addr, price: 1.1 ether, result: _result()});
    }

    function _jobId(ILotaMarket.Terms memory terms) internal view returns (bytes32) {
        return Eip712.digest(Eip712.domain(address(market), block.chainid), Eip712.hash(terms));
    }

    /// @dev What the market keeps of a receipt.
    function _kept(ILotaMarket.Terms memory terms, ILotaMarket.Receipt memory receipt) internal view returns (bytes26) {
        return Eip712.kept(_jobId(terms), receipt);
    }

    function _acceptance(ILotaMarket.Terms memory terms, ILotaMarket.Receipt memory receipt)
        internal
        view
        returns (bytes32)
    {
        bytes32 structHash = Eip712.acceptance(_jobId(terms), receipt, UNTIL);
        return Eip712.digest(Eip712.domain(address(market), block.chainid), structHash);
    }

    function _sign(Account memory signer, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer.key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _signed(ILotaMarket.Terms memory terms) internal view returns (bytes memory) {
        return _sign(client, _jobId(terms));
    }

    function _entry(ILotaMarket.Terms memory terms, ILotaMarket.Receipt memory receipt)
        internal
        view
        returns (ILotaMarket.BatchEntry memory)
    {
        return ILotaMarket.BatchEntry(terms, receipt, UNTIL, _sign(client, _acceptance(terms, receipt)));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Deals in a state; each helper goes one step further than the one before
    // ------------------------------------------------------------------------------------------------------------

    function _open(ILotaMarket.Terms memory terms) internal {
        if (market.dealOf(_jobId(terms)).status != ILotaMarket.Status.None) return;
        vm.prank(terms.client);
        market.open(terms, "");
    }

    function _lock(ILotaMarket.Terms memory terms) internal {
        _open(terms);
        if (terms.matcher == address(0)) {
            vm.prank(provider.addr);
            market.lock(terms);
        } else {
            vm.prank(terms.matcher);
            market.award(terms, provider.addr, 1.1 ether);
        }
    }

    function _submit(ILotaMarket.Terms memory terms) internal {
        _lock(terms);
        vm.prank(provider.addr);
        market.submitResult(terms, _result());
    }

    function _dispute(ILotaMarket.Terms memory terms) internal {
        _submit(terms);
        vm.prank(terms.arbiter);
        market.dispute(terms);
    }

    function _settleDeal(ILotaMarket.Terms memory terms) internal {
        _submit(terms);
        vm.prank(terms.client);
        market.accept(terms, _receipt());
    }

    /// @dev A deal in any state; terms with a matcher are awarded and cancelled by it.
    function _bring(ILotaMarket.Terms memory terms, ILotaMarket.Status to) internal {
        if (to == ILotaMarket.Status.Open) _open(terms);
        if (to == ILotaMarket.Status.Locked) _lock(terms);
        if (to == ILotaMarket.Status.Submitted) _submit(terms);
        if (to == ILotaMarket.Status.Disputed) _dispute(terms);
        if (to == ILotaMarket.Status.Settled) _settleDeal(terms);
        if (to == ILotaMarket.Status.Cancelled) {
            _open(terms);
            vm.prank(terms.matcher == address(0) ? terms.client : terms.matcher);
            market.cancel(terms);
        }
        if (to == ILotaMarket.Status.Slashed || to == ILotaMarket.Status.Void) {
            _dispute(terms);
            bool slashed = to == ILotaMarket.Status.Slashed;
            vm.prank(terms.arbiter);
            market.rule(terms, _receipt(), slashed ? ILotaMarket.Verdict.Overturned : ILotaMarket.Verdict.Void);
        }
        bool kept = to < ILotaMarket.Status.Settled || terms.keepRecord;
        ILotaMarket.Status wanted = kept ? to : ILotaMarket.Status.None;
        assertEq(uint256(market.dealOf(_jobId(terms)).status), uint256(wanted), "brought to");
    }

    /// @dev Calls the market as `sender` on a deal in every state but the allowed ones: it must say so. Where a deal has ended, and
    /// nothing is kept of it, its salt is spent. `make` encodes the call for given terms.
    function _onlyIn(
        ILotaMarket.Status[] memory allowed,
        address sender,
        ILotaMarket.Terms memory terms,
        function(ILotaMarket.Terms memory) internal view returns (bytes memory) make
    ) internal {
        for (uint256 i = 1; i <= uint256(type(ILotaMarket.Status).max); ++i) {
            ILotaMarket.Status status = ILotaMarket.Status(i);
            bool skip = false;
            for (uint256 j = 0; j < allowed.length; ++j) {
                if (allowed[j] == status) skip = true;
            }
            if (skip) continue;
            (terms.salt, terms.keepRecord) = (_lane(i), true);
            _bring(terms, status);
            _refused(
                sender, make(terms), abi.encodeWithSelector(ILotaMarket.WrongState.selector, _jobId(terms), status)
            );
            if (status < ILotaMarket.Status.Settled) continue;
            (terms.salt, terms.keepRecord) = (_lane(i) + 1, false);
            _bring(terms, status);
            _refused(
                sender, make(terms), abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, terms.client, terms.salt)
            );
        }
    }

    function _refused(address sender, bytes memory data, bytes memory wanted) private {
        vm.prank(sender);
        (bool success, bytes memory why) = address(market).call(data);
        assertFalse(success, "must not be allowed");
        assertEq(why, wanted);
    }

    /// @dev The first salt of a lane of its own.
    function _lane(uint256 lane) internal pure returns (uint256) {
        return lane << 64;
    }

    function _list(ILotaMarket.Status a) internal pure returns (ILotaMarket.Status[] memory list) {
        list = new ILotaMarket.Status[](1);
        list[0] = a;
    }

    function _list(ILotaMarket.Status a, ILotaMarket.Status b)
        internal
        pure
        returns (ILotaMarket.Status[] memory list)
    {
        list = new ILotaMarket.Status[](2);
        (list[0], list[1]) = (a, b);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Assertions
    // ------------------------------------------------------------------------------------------------------------

    function _assertStatus(
        ILotaMarket.Terms memory terms,
        ILotaMarket.Status status,
        ILotaMarket.Reason reason,
        bool pending
    ) internal view {
        ILotaMarket.Deal memory found = market.dealOf(_jobId(terms));
        assertEq(uint256(found.status), uint256(status), "status");
        assertEq(uint256(found.reason), uint256(reason), "reason");
        assertEq(found.callbackPending, pending, "callbackPending");
    }

    function _assertBalances(uint256 ofClient, uint256 ofProvider) internal view {
        assertEq(market.balanceOf(client.addr), ofClient, "balance of the client");
        assertEq(market.balanceOf(provider.addr), ofProvider, "balance of the provider");
    }

    /// @dev The next call must fail with a {ILotaMarket-WrongState} of this deal.
    function _expectWrongState(ILotaMarket.Terms memory terms, ILotaMarket.Status found) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongState.selector, _jobId(terms), found));
    }

    function _expectWrongSender(address sender, address wanted) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongSender.selector, sender, wanted));
    }

    function _expectTooEarly(uint256 time, uint256 from) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooEarly.selector, time, from));
    }

    function _expectTooLate(uint256 time, uint256 until) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooLate.selector, time, until));
    }

    function _expectPoor(address account, uint256 balance, uint256 needed) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.InsufficientBalance.selector, account, balance, needed));
    }

    function _expectUnknown(ILotaMarket.Terms memory terms) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.UnknownJob.selector, _jobId(terms)));
    }

    function _expectSpent(address by, uint256 salt) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, by, salt));
    }

    function _expectMismatch(ILotaMarket.Terms memory terms) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.ReceiptMismatch.selector, _jobId(terms)));
    }

    function _expectBadTerms(ILotaMarket.TermsFault fault) internal {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadTerms.selector, fault));
    }

    /// @dev An account with nothing in the market.
    function _drain(address account) internal {
        uint256 balance = market.balanceOf(account);
        if (balance == 0) return;
        vm.prank(account);
        market.withdraw(address(0xdead), balance);
    }
}
