// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {Test} from "../base/Test.sol";
import {TestGranter} from "../mocks/Granters.sol";

/// @title BlessingHandler: random commands to a blessing, and a ledger of its own, from the specification
/// @dev The granter tries everything while it is called, and fails now and then. Some notaries are parties.
contract BlessingHandler is Test {
    uint256 private constant _MAX_JOBS = 30;
    uint256 private constant _MAX_AMOUNT = 1 ether;
    uint64 private constant _PERIOD = 100;

    enum State {
        Idle,
        Nominated,
        Blessed,
        Granted
    }

    struct Job {
        ILotaMarket.Terms terms;
        ILotaMarket.Receipt receipt;
        bytes32 id;
        State state;
        uint32 round;
        uint256 version;
        address[] approved;
        address[] opposed;
        uint256 blessedAt;
        uint256 grants;
        IBlessing.Nomination nomination;
    }

    ILotaMarket private immutable MARKET;
    IBlessing private immutable BLESSING;
    TestGranter private immutable GRANTER;

    address[] public accounts;
    address[] private _set; // the notaries now
    uint256 private _quorum = 1;
    uint256 private _version = 1;
    Job[] private _jobs;
    mapping(address => uint256) private _rates;

    mapping(address => uint256) public expected;
    mapping(address => uint256) public pools;
    mapping(address provider => mapping(uint256 period => uint256)) private _granted;
    mapping(uint256 period => uint256) private _inAll;
    uint256 public expectedBurned;
    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public forced;
    uint256 public blessings;
    uint256 public grants;

    constructor(ILotaMarket market, address[] memory notaries, TestGranter granter, IBlessing blessing) {
        (MARKET, GRANTER, BLESSING) = (market, granter, blessing);
        _set = notaries;
        for (uint256 i = 0; i < notaries.length; ++i) {
            accounts.push(notaries[i]);
        }
        for (uint256 i = 0; i < 3; ++i) {
            accounts.push(makeAddr(string.concat("other ", vm.toString(i))));
        }
        bytes[] memory attempts = new bytes[](3);
        attempts[0] = abi.encodeCall(BLESSING.withdraw, (address(granter), 0));
        attempts[1] = abi.encodeCall(BLESSING.fund, ());
        attempts[2] = abi.encodeCall(BLESSING.takeBack, (0));
        granter.setAttempts(address(blessing), attempts);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Money and time
    // ------------------------------------------------------------------------------------------------------------

    function fund(uint256 by, uint256 amount) public {
        address account = _account(by);
        amount = bound(amount, 0, 20 ether);
        vm.deal(account, amount);
        assertTrue(_call(account, amount, abi.encodeCall(BLESSING.fund, ())), "fund");
        expected[account] += amount;
        paidIn += amount;
    }

    function withdraw(uint256 by, uint256 amount) external {
        address account = _account(by);
        amount = bound(amount, 0, expected[account] + 1);
        bool success = _call(account, 0, abi.encodeCall(BLESSING.withdraw, (address(0xbeef), amount)));
        assertEq(success, amount <= expected[account], "withdraw");
        if (!success) return;
        expected[account] -= amount;
        paidOut += amount;
    }

    function setAside(uint256 by, uint256 amount) external {
        address account = _account(by);
        amount = bound(amount, 0, expected[account] + 1);
        bool success = _call(account, 0, abi.encodeCall(BLESSING.setAside, (amount)));
        assertEq(success, amount <= expected[account], "setAside");
        if (!success) return;
        expected[account] -= amount;
        pools[account] += amount;
    }

    function takeBack(uint256 by, uint256 amount) external {
        address account = _account(by);
        amount = bound(amount, 0, pools[account] + 1);
        bool success = _call(account, 0, abi.encodeCall(BLESSING.takeBack, (amount)));
        assertEq(success, amount <= pools[account], "takeBack");
        if (!success) return;
        pools[account] -= amount;
        expected[account] += amount;
    }

    function force(uint256 amount) external {
        amount = bound(amount, 0, 1 ether);
        vm.deal(address(BLESSING), address(BLESSING).balance + amount);
        forced += amount;
    }

    function warp(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 0, 40));
    }

    /// @dev To a time at which something changes for a job, or the second before or after.
    function warpToEdge(uint256 seed, uint256 beside) external {
        if (_jobs.length == 0) return;
        Job storage job = _jobs[seed % _jobs.length];
        IBlessing.Settings memory s = BLESSING.settings();
        uint256 edge = job.nomination.expires;
        if (job.state == State.Blessed) {
            edge = job.blessedAt + s.revokeFor;
            if (edge < block.timestamp) edge += s.grantFor;
        }
        uint256 to = edge + beside % 3;
        if (to > block.timestamp + 1) vm.warp(to - 1);
    }

    function setMood(uint256 mood) external {
        TestGranter.Mood[4] memory moods = [
            TestGranter.Mood.CallsBack,
            TestGranter.Mood.RefusesToGrant,
            TestGranter.Mood.CallsBack,
            TestGranter.Mood.SaysNothing
        ];
        GRANTER.set(moods[mood % 4]);
    }

    function register(uint256 by, uint256 rate) external {
        address account = _account(by);
        rate = bound(rate, 0, 1e18);
        bytes memory recipient = abi.encodePacked(_account(rate));
        assertTrue(
            _call(account, 0, abi.encodeCall(BLESSING.register, (address(GRANTER), recipient, uint128(rate), 1 ether)))
        );
        _rates[account] = rate + 1;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Notaries
    // ------------------------------------------------------------------------------------------------------------

    /// @dev The sender's own ballot suffices where one is enough; otherwise everybody prank-signs nothing and it must fail.
    function setNotaries(uint256 seed, uint256 quorum, uint256 count) external {
        count = bound(count, 1, 5);
        quorum = bound(quorum, 1, 2);
        if (quorum > count) quorum = count;
        address[] memory list = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = accounts[(seed % accounts.length + i) % accounts.length];
        }
        address by = _account(seed >> 8);
        IBlessing.Ballot[] memory ballots = new IBlessing.Ballot[](1);
        ballots[0].notary = by;
        bytes memory data =
            abi.encodeCall(BLESSING.setNotaries, (list, uint32(quorum), uint64(block.timestamp), ballots));
        bool success = _call(by, 0, data);
        assertEq(success, _quorum == 1 && _contains(_set, by), "setNotaries");
        if (!success) return;
        (_set, _quorum) = (list, quorum);
        ++_version;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Nominations
    // ------------------------------------------------------------------------------------------------------------

    function nominate(uint256 seed, uint256 by, uint256 amount, bool rich) external {
        Job storage job = _jobs.length == 0 || (seed % 3 == 0 && _jobs.length < _MAX_JOBS)
            ? _settled(seed)
            : _jobs[(seed >> 8) % _jobs.length];
        if (rich) fund(by, 5 ether);
        IBlessing.Request memory r;
        r.granter = address(GRANTER);
        r.amount = bound(amount, 1, _MAX_AMOUNT);
        (r.piece, r.pieceSize, r.bounty) = (bytes32(seed | 1), 128, seed % 1 ether);
        if ((seed >> 16) % 4 == 0) r.minShare = (seed >> 24) % 0.1 ether;
        _nominate(job, _account(by), r);
    }

    function _nominate(Job storage job, address nominator, IBlessing.Request memory r) private {
        address provider = job.receipt.provider;
        uint256 share = _rates[provider] == 0 ? 0 : (_rates[provider] - 1) * r.amount / 1e18;
        uint256 brought = BLESSING.settings().deposit + r.bounty;
        bool possible = job.state == State.Idle && _rates[provider] != 0 && share >= r.minShare
            && pools[provider] >= share && expected[nominator] >= brought;
        bool success = _call(nominator, 0, abi.encodeCall(BLESSING.nominate, (job.terms, job.receipt, r)));
        assertEq(success, possible, "nominate");
        if (!success) return;
        expected[nominator] -= brought;
        pools[provider] -= share;
        (job.state, job.version) = (State.Nominated, _version);
        ++job.round;
        delete job.approved;
        delete job.opposed;
        IBlessing.Nomination memory n;
        (n.jobId, n.round, n.client, n.provider) = (job.id, job.round, job.terms.client, provider);
        (n.nominator, n.granter, n.amount) = (nominator, address(GRANTER), r.amount);
        n.recipient = BLESSING.registrationOf(provider, address(GRANTER)).recipient;
        (n.piece, n.pieceSize, n.share, n.bounty) = (r.piece, 128, share, r.bounty);
        n.expires = uint64(block.timestamp + BLESSING.settings().voteFor);
        job.nomination = n;
    }

    /// @dev Another job that the market settled.
    function _settled(uint256 seed) private returns (Job storage job) {
        address client = _account(seed >> 16);
        address provider = _account(seed >> 24);
        ILotaMarket.Terms memory t;
        (t.client, t.salt, t.keepRecord) = (client, _jobs.length << 64, true);
        (t.spec, t.specCodec, t.runFor, t.rampPeriod) = (bytes32(seed), 0x71, 60, 1);
        t.lockBy = uint64(block.timestamp);
        ILotaMarket.Result memory result;
        vm.prank(client);
        MARKET.open(t, "");
        vm.startPrank(provider);
        MARKET.lock(t);
        MARKET.submitResult(t, result);
        vm.stopPrank();
        job = _jobs.push();
        job.terms = t;
        job.receipt.provider = provider;
        job.id = Eip712.digest(Eip712.domain(address(MARKET), block.chainid), Eip712.hash(t));
    }

    function vote(uint256 seed, uint256 by, uint256 kind) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickRunning(seed);
        address notary = by % 4 == 0 ? _account(by >> 8) : _set[(by >> 8) % _set.length];
        IBlessing.Choice choice = job.state == State.Blessed && kind % 8 != 0
            ? IBlessing.Choice.Revoke
            : kind % 5 == 0
                ? IBlessing.Choice.Reject
                : kind % 13 == 0 ? IBlessing.Choice.Revoke : IBlessing.Choice.Approve;
        bool possible = _mayVote(job, notary, choice == IBlessing.Choice.Revoke);
        bytes memory data = abi.encodeCall(BLESSING.vote, (job.nomination, choice, bytes32(seed)));
        assertEq(_call(notary, 0, data), possible, "vote");
        if (possible) _voted(job, notary, choice);
    }

    function _mayVote(Job storage job, address notary, bool revokes) private view returns (bool) {
        if (job.state != (revokes ? State.Blessed : State.Nominated) || !_contains(_set, notary)) return false;
        if (_isParty(job.nomination, notary)) return false;
        bool counts = job.version == _version;
        if (counts && (_contains(job.approved, notary) || _contains(job.opposed, notary))) return false;
        return block.timestamp <= (revokes ? job.blessedAt + BLESSING.settings().revokeFor : job.nomination.expires);
    }

    function _voted(Job storage job, address notary, IBlessing.Choice choice) private {
        if (job.version != _version) {
            delete job.approved;
            delete job.opposed;
            job.version = _version;
        }
        if (choice == IBlessing.Choice.Approve) job.approved.push(notary);
        else job.opposed.push(notary);
        if (choice == IBlessing.Choice.Approve && job.approved.length >= _quorum) {
            (job.state, job.blessedAt) = (State.Blessed, block.timestamp);
            delete job.approved;
            delete job.opposed;
            ++blessings;
        } else if (choice == IBlessing.Choice.Reject && _set.length - job.opposed.length < _quorum) {
            _ended(job, true);
        } else if (choice == IBlessing.Choice.Revoke && job.opposed.length >= _quorum) {
            _ended(job, true);
        }
    }

    function _isParty(IBlessing.Nomination memory n, address notary) private pure returns (bool) {
        return notary == n.client || notary == n.provider || notary == n.nominator
            || keccak256(n.recipient) == keccak256(abi.encodePacked(notary));
    }

    function _ended(Job storage job, bool burns) private {
        uint256 deposit = BLESSING.settings().deposit;
        if (burns) expectedBurned += deposit;
        expected[job.nomination.nominator] += job.nomination.bounty + (burns ? 0 : deposit);
        pools[job.nomination.provider] += job.nomination.share;
        job.state = State.Idle;
    }

    function grant(uint256 seed, uint256 by) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickRunning(seed);
        bool possible = _mayGrant(job);
        uint256 before = GRANTER.grants();
        assertEq(_call(_account(by), 0, abi.encodeCall(BLESSING.grant, (job.nomination))), possible, "grant");
        if (!possible || GRANTER.grants() == before) return;
        assertEq(GRANTER.grants(), before + 1);
        assertEq(job.grants++, 0, "granted once");
        IBlessing.Nomination memory n = job.nomination;
        expected[n.client] += n.share + n.bounty;
        expected[n.nominator] += BLESSING.settings().deposit;
        uint256 period = block.timestamp / _PERIOD;
        _granted[n.provider][period] += n.amount;
        _inAll[period] += n.amount;
        job.state = State.Granted;
        ++grants;
    }

    function _mayGrant(Job storage job) private view returns (bool) {
        IBlessing.Settings memory s = BLESSING.settings();
        uint256 from = job.blessedAt + s.revokeFor;
        if (job.state != State.Blessed || block.timestamp <= from || block.timestamp > from + s.grantFor) return false;
        IBlessing.Limits memory limits = BLESSING.limitsOf(address(GRANTER));
        uint256 period = block.timestamp / _PERIOD;
        return _granted[job.nomination.provider][period] + job.nomination.amount <= limits.perProvider
            && _inAll[period] + job.nomination.amount <= limits.perPeriod;
    }

    function expire(uint256 seed, uint256 by) external {
        if (_jobs.length == 0) return;
        _expire(_pickRunning(seed), _account(by));
    }

    function _expire(Job storage job, address by) private {
        IBlessing.Settings memory s = BLESSING.settings();
        bool runs = job.state == State.Nominated || job.state == State.Blessed;
        uint256 until = job.state == State.Blessed ? job.blessedAt + s.revokeFor + s.grantFor : job.nomination.expires;
        bool success = _call(by, 0, abi.encodeCall(BLESSING.expire, (job.nomination)));
        assertEq(success, runs && block.timestamp > until, "expire");
        if (success) _ended(job, false);
    }

    function sweep(uint256 by) external {
        assertTrue(_call(_account(by), 0, abi.encodeCall(BLESSING.sweep, (address(GRANTER), accounts))), "sweep");
    }

    // ------------------------------------------------------------------------------------------------------------
    // What must hold
    // ------------------------------------------------------------------------------------------------------------

    function moneyIsAccountedFor() external view {
        uint256 sum = expectedBurned + forced;
        for (uint256 i = 0; i < accounts.length; ++i) {
            assertEq(BLESSING.balanceOf(accounts[i]), expected[accounts[i]], "an account");
            assertEq(BLESSING.poolOf(accounts[i]), pools[accounts[i]], "what is set aside");
            sum += expected[accounts[i]] + pools[accounts[i]];
        }
        uint256 deposit = BLESSING.settings().deposit;
        for (uint256 i = 0; i < _jobs.length; ++i) {
            Job storage job = _jobs[i];
            if (job.state != State.Nominated && job.state != State.Blessed) continue;
            sum += deposit + job.nomination.share + job.nomination.bounty;
        }
        assertEq(BLESSING.burned(), expectedBurned, "burned");
        assertEq(address(BLESSING).balance, sum, "accounts, pools, escrow, burned");
        assertEq(address(BLESSING).balance, paidIn + forced - paidOut, "what came and went");
    }

    function jobsAreTheLedgers() external view {
        for (uint256 i = 0; i < _jobs.length; ++i) {
            Job storage job = _jobs[i];
            IBlessing.Record memory found = BLESSING.recordOf(job.id);
            assertEq(uint256(found.phase), uint256(job.state), "phase");
            assertEq(found.round, job.round, "round");
            bool runs = job.state == State.Nominated || job.state == State.Blessed;
            assertEq(found.nomination, runs ? BLESSING.hashOf(job.nomination) : bytes32(0), "nomination");
            bool counts = runs && job.version == _version;
            assertEq(found.approvals, counts ? job.approved.length : 0, "approvals");
            assertEq(found.against, counts ? job.opposed.length : 0, "against");
        }
    }

    function limitsHold() external view {
        uint256 period = block.timestamp / _PERIOD;
        IBlessing.Limits memory limits = BLESSING.limitsOf(address(GRANTER));
        assertLe(_inAll[period], limits.perPeriod);
        for (uint256 i = 0; i < accounts.length; ++i) {
            (uint256 toProvider, uint256 inAll) = BLESSING.grantedOf(address(GRANTER), accounts[i]);
            assertEq(toProvider, _granted[accounts[i]][period], "granted to a provider");
            assertEq(inAll, _inAll[period], "granted in all");
            assertLe(toProvider, limits.perProvider);
        }
    }

    function nobodyGotIn() external view {
        bytes4[] memory answers = GRANTER.answers();
        for (uint256 i = 0; i < answers.length; ++i) {
            assertEq(answers[i], ILotaMarket.Reentered.selector, "a call from within");
        }
    }

    /// @dev A stranger and time end everything, and everybody leaves with all of their money.
    function finish(address stranger) external {
        vm.warp(block.timestamp + 10_000);
        for (uint256 i = 0; i < _jobs.length; ++i) {
            Job storage job = _jobs[i];
            _expire(job, stranger);
            assertTrue(job.state == State.Idle || job.state == State.Granted, "over");
            assertEq(BLESSING.recordOf(job.id).nomination, 0, "nothing stays of it");
        }
        for (uint256 i = 0; i < accounts.length; ++i) {
            address account = accounts[i];
            assertTrue(_call(account, 0, abi.encodeCall(BLESSING.takeBack, (pools[account]))));
            uint256 all = expected[account] + pools[account];
            assertTrue(_call(account, 0, abi.encodeCall(BLESSING.withdraw, (address(0xbeef), all))));
        }
        assertEq(address(BLESSING).balance, expectedBurned + forced, "nothing else is left");
    }

    // ------------------------------------------------------------------------------------------------------------

    /// @dev Mostly one whose nomination runs.
    function _pickRunning(uint256 seed) private view returns (Job storage job) {
        job = _jobs[seed % _jobs.length];
        for (uint256 i = 0; i < _jobs.length && seed % 8 != 0; ++i) {
            job = _jobs[(seed % _jobs.length + i) % _jobs.length];
            if (job.state == State.Nominated || job.state == State.Blessed) return job;
        }
    }

    function _account(uint256 seed) private view returns (address) {
        return accounts[seed % accounts.length];
    }

    function _contains(address[] storage list, address account) private view returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == account) return true;
        }
        return false;
    }

    function _call(address sender, uint256 value, bytes memory data) private returns (bool success) {
        vm.prank(sender);
        (success,) = address(BLESSING).call{value: value}(data);
    }
}
