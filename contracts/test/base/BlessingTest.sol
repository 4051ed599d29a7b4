// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {TestGranter} from "../mocks/Granters.sol";
import {MarketTest} from "./MarketTest.sol";

/// @title BlessingTest: a market with a blessing beside it, three notaries of whom two decide, and nominations in every phase
/// @dev What is signed is written down once more here, in the plainest way; nothing is shared with src/.
abstract contract BlessingTest is MarketTest {
    string internal constant NOMINATION = "Nomination(bytes32 jobId,uint32 round,address client,address provider,"
        "address matcher,address arbiter,address nominator,address granter,bytes recipient,uint256 amount,bytes32 piece,"
        "uint64 pieceSize,uint256 share,uint256 bounty,uint64 expires)";
    uint256 internal constant DEPOSIT = 1 ether;
    uint256 internal constant BOUNTY = 0.5 ether;
    uint32 internal constant VOTE_FOR = 7 days;
    uint32 internal constant REVOKE_FOR = 2 days;
    uint32 internal constant GRANT_FOR = 30 days;
    uint32 internal constant LIMIT_PERIOD = 28 days;
    uint32 internal constant GRANTER_GAS = 500_000;
    uint256 internal constant AMOUNT = 32 << 30;
    uint256 internal constant ACCOUNT = 100 ether;
    /// @dev 5 % of what the amount is worth: 0.05 FIL at most, 10^18 bytes being 2^30 times that.
    uint128 internal constant RATE = 1e24;
    uint256 internal constant SHARE = AMOUNT * uint256(RATE) / 1e18;
    bytes32 internal constant REASONS = keccak256("it is what it says");

    IBlessing internal blessing;
    TestGranter internal granter;
    Account[] internal notaries;
    Account internal nominator;
    bytes internal recipient = hex"0401020304";

    function setUp() public virtual override {
        super.setUp();
        nominator = makeAccount("nominator");
        for (uint256 i = 0; i < 5; ++i) {
            notaries.push(makeAccount(string.concat("notary ", vm.toString(i))));
        }
        granter = new TestGranter();
        blessing = _deployBlessing(_blessingSettings(), _list(3), 2);
        _admit(address(granter), _limits(AMOUNT, 3 * AMOUNT, 4 * AMOUNT));
        _fundBlessing(nominator.addr, ACCOUNT);
        _fundBlessing(provider.addr, ACCOUNT);
        vm.startPrank(provider.addr);
        blessing.setAside(ACCOUNT / 2);
        blessing.register(address(granter), recipient, RATE, 1 ether);
        vm.stopPrank();
    }

    function _blessingSettings() internal pure returns (IBlessing.Settings memory) {
        return IBlessing.Settings(uint128(DEPOSIT), VOTE_FOR, REVOKE_FOR, GRANT_FOR, LIMIT_PERIOD, GRANTER_GAS);
    }

    function _deployBlessing(IBlessing.Settings memory s, address[] memory list, uint32 quorum)
        internal
        returns (IBlessing)
    {
        return IBlessing(deployCode("Blessing.sol:Blessing", abi.encode(market, s, list, quorum)));
    }

    function _fundBlessing(address account, uint256 amount) internal virtual {
        vm.deal(account, amount);
        vm.prank(account);
        blessing.fund{value: amount}();
    }

    // ------------------------------------------------------------------------------------------------------------
    // Values
    // ------------------------------------------------------------------------------------------------------------

    /// @dev The first `count` notaries.
    function _list(uint256 count) internal view returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = notaries[i].addr;
        }
    }

    function _limits(uint256 job, uint256 toProvider, uint256 period) internal pure returns (IBlessing.Limits memory) {
        return IBlessing.Limits(uint128(job), uint128(toProvider), uint128(period));
    }

    function _request() internal view returns (IBlessing.Request memory) {
        return IBlessing.Request(address(granter), AMOUNT, keccak256("piece"), 32 << 30, BOUNTY, 0);
    }

    /// @dev What {_nominate} nominates, of a job that was settled with {_receipt}.
    function _nomination(ILotaMarket.Terms memory t, uint32 round)
        internal
        view
        returns (IBlessing.Nomination memory n)
    {
        IBlessing.Request memory r = _request();
        n = IBlessing.Nomination({
            jobId: _jobId(t),
            round: round,
            client: t.client,
            provider: provider.addr,
            matcher: t.matcher,
            arbiter: t.arbiter,
            nominator: nominator.addr,
            granter: r.granter,
            recipient: recipient,
            amount: r.amount,
            piece: r.piece,
            pieceSize: r.pieceSize,
            share: SHARE,
            bounty: r.bounty,
            expires: uint64(block.timestamp) + VOTE_FOR
        });
    }

    // ------------------------------------------------------------------------------------------------------------
    // What is signed
    // ------------------------------------------------------------------------------------------------------------

    function _hash(IBlessing.Nomination memory n) internal pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(bytes(NOMINATION)), n.jobId, n.round, n.client, n.provider, n.matcher, n.arbiter, n.nominator
        );
        bytes memory second =
            abi.encode(n.granter, keccak256(n.recipient), n.amount, n.piece, n.pieceSize, n.share, n.bounty, n.expires);
        return keccak256(bytes.concat(first, second));
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("LotaBlessing"),
                keccak256("1"),
                block.chainid,
                address(blessing)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _voteDigest(IBlessing.Nomination memory n, IBlessing.Choice choice, bytes32 reasons, uint32 version)
        internal
        view
        returns (bytes32)
    {
        string[3] memory names = ["Approval", "Rejection", "Revocation"];
        string memory rest = "(Nomination nomination,bytes32 reasons,uint32 version)";
        bytes32 typehash = keccak256(bytes(string.concat(names[uint256(choice)], rest, NOMINATION)));
        return _digest(keccak256(abi.encode(typehash, _hash(n), reasons, version)));
    }

    function _notariesDigest(address[] memory list, uint32 quorum, uint64 decision, uint64 until)
        internal
        view
        returns (bytes32)
    {
        bytes32 typehash = keccak256("SetNotaries(address[] notaries,uint32 quorum,uint64 decision,uint64 until)");
        bytes32 packed = keccak256(abi.encodePacked(list));
        return _digest(keccak256(abi.encode(typehash, packed, quorum, decision, until)));
    }

    function _granterDigest(address of_, IBlessing.Limits memory limits, uint64 decision, uint64 until)
        internal
        view
        returns (bytes32)
    {
        bytes32 typehash = keccak256(
            "SetGranter(address granter,uint128 perJob,uint128 perProvider,uint128 perPeriod,uint64 decision,uint64 until)"
        );
        return _digest(keccak256(abi.encode(typehash, of_, limits, decision, until)));
    }

    /// @dev Ballots of the first `count` notaries.
    function _ballots(uint256 count, bytes32 digest) internal view returns (IBlessing.Ballot[] memory ballots) {
        ballots = new IBlessing.Ballot[](count);
        for (uint256 i = 0; i < count; ++i) {
            ballots[i] = IBlessing.Ballot(notaries[i].addr, _sign(notaries[i], digest));
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Steps; each goes further than the one before
    // ------------------------------------------------------------------------------------------------------------

    function _admit(address of_, IBlessing.Limits memory limits) internal {
        uint64 until = uint64(block.timestamp);
        blessing.setGranter(of_, limits, until, _ballots(2, _granterDigest(of_, limits, blessing.decisions(), until)));
    }

    function _replace(address[] memory list, uint32 quorum) internal {
        uint64 until = uint64(block.timestamp);
        bytes32 digest = _notariesDigest(list, quorum, blessing.decisions(), until);
        blessing.setNotaries(list, quorum, until, _ballots(2, digest));
    }

    function _nominate() internal returns (IBlessing.Nomination memory n) {
        ILotaMarket.Terms memory t = _terms();
        if (market.dealOf(_jobId(t)).status == ILotaMarket.Status.None) _settleDeal(t);
        return _nominate(t);
    }

    function _nominate(ILotaMarket.Terms memory t) internal returns (IBlessing.Nomination memory n) {
        n = _nomination(t, blessing.recordOf(_jobId(t)).round + 1);
        vm.prank(nominator.addr);
        blessing.nominate(t, _receipt(), _request());
    }

    function _vote(IBlessing.Nomination memory n, uint256 by, IBlessing.Choice choice) internal {
        vm.prank(notaries[by].addr);
        blessing.vote(n, choice, REASONS);
    }

    function _bless() internal returns (IBlessing.Nomination memory n) {
        n = _nominate();
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Approve);
    }

    function _blessed() internal returns (IBlessing.Nomination memory n) {
        n = _bless();
        vm.warp(block.timestamp + REVOKE_FOR + 1);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Assertions
    // ------------------------------------------------------------------------------------------------------------

    function _assertPhase(bytes32 jobId, IBlessing.Phase phase, uint32 round) internal view {
        IBlessing.Record memory found = blessing.recordOf(jobId);
        assertEq(uint256(found.phase), uint256(phase), "phase");
        assertEq(found.round, round, "round");
    }

    function _assertVotes(bytes32 jobId, uint32 approvals, uint32 against) internal view {
        IBlessing.Record memory found = blessing.recordOf(jobId);
        assertEq(found.approvals, approvals, "approvals");
        assertEq(found.against, against, "against");
    }

    /// @dev What everybody has, and that nothing is missing.
    function _assertMoney(uint256 ofNominator, uint256 ofClient, uint256 pool, uint256 burned, uint256 escrow)
        internal
        view
    {
        assertEq(blessing.balanceOf(nominator.addr), ofNominator, "the nominator's");
        assertEq(blessing.balanceOf(client.addr), ofClient, "the client's");
        assertEq(blessing.poolOf(provider.addr), pool, "the pool");
        assertEq(blessing.burned(), burned, "burned");
        uint256 free = ofNominator + ofClient + blessing.balanceOf(provider.addr);
        assertEq(address(blessing).balance, free + pool + burned + escrow, "held");
    }

    /// @dev Nothing is stored of a job but its phase and round.
    function _assertForgotten(bytes32 jobId, IBlessing.Phase phase, uint32 round) internal view {
        _assertPhase(jobId, phase, round);
        IBlessing.Record memory found = blessing.recordOf(jobId);
        assertEq(found.nomination, 0);
        assertEq(found.reasons, 0);
        assertEq(uint256(found.approvals) + found.against + found.blessedAt, 0);
    }

    function _expectUnknownNomination(bytes32 jobId) internal {
        vm.expectRevert(abi.encodeWithSelector(IBlessing.UnknownNomination.selector, jobId));
    }

    function _expectPhase(bytes32 jobId, IBlessing.Phase found) internal {
        vm.expectRevert(abi.encodeWithSelector(IBlessing.WrongPhase.selector, jobId, found));
    }

    function _expectNotNotary(address account) internal {
        vm.expectRevert(abi.encodeWithSelector(IBlessing.NotNotary.selector, account));
    }

    function _expectOver(IBlessing.Limit limit, uint256 amount, uint256 left) internal {
        vm.expectRevert(abi.encodeWithSelector(IBlessing.OverLimit.selector, address(granter), limit, amount, left));
    }
}
