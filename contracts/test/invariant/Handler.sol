// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {ScriptedClient} from "../mocks/Clients.sol";
import {Ledger} from "./Ledger.sol";

/// @title Handler: random commands; behind each that succeeds stands what must have been true for it (I6)
contract Handler is Ledger {
    uint256 private constant _MAX_DEALS = 60;

    constructor(ILotaMarket market) Ledger(market) {}

    // ------------------------------------------------------------------------------------------------------------
    // Money and time
    // ------------------------------------------------------------------------------------------------------------

    function deposit(uint256 from, uint256 to, uint256 amount) external {
        amount = bound(amount, 0, 1000 ether);
        _deposit(_party(from), _party(to), amount);
    }

    function withdraw(uint256 seed, uint256 amount) external {
        address party = _party(seed);
        amount = bound(amount, 0, expected[party] + 1);
        bool success = _call(party, abi.encodeCall(ILotaMarket.withdraw, (address(0xbeef), amount)));
        assertEq(success, amount <= expected[party], "withdraw");
        if (!success) return;
        expected[party] -= amount;
        paidOut += amount;
    }

    function force(uint256 amount) external {
        amount = bound(amount, 0, 10 ether);
        if (_isToken()) TOKEN.mint(address(MARKET), amount);
        else vm.deal(address(MARKET), address(MARKET).balance + amount);
        forced += amount;
    }

    function warp(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 0, 1 hours));
    }

    /// @dev To a deadline of a deal, or the second after.
    function warpToDeadline(uint256 seed, bool after_) external {
        if (deals.length == 0) return;
        Known storage known = _pick(seed);
        uint256 deadline = known.terms.lockBy;
        if (known.status == ILotaMarket.Status.Locked) deadline = known.since + known.terms.runFor;
        if (known.status == ILotaMarket.Status.Submitted) deadline = known.since + known.terms.reviewFor;
        if (known.status == ILotaMarket.Status.Disputed) deadline = known.since + known.terms.ruleFor;
        if (after_) ++deadline;
        if (deadline > block.timestamp) vm.warp(deadline);
    }

    function setMood(uint256 seed, bool first) external {
        (first ? hostile : hostileToo).setMood(ScriptedClient.Mood(seed % 9));
    }

    /// @dev What a hostile client opens when it is called back next. It may lack the money.
    function plan(uint256 seed, bool first) external {
        ScriptedClient script = first ? hostile : hostileToo;
        ILotaMarket.Terms[] memory terms = new ILotaMarket.Terms[](3);
        uint256 salt = _next(address(script), 7);
        for (uint256 i = 0; i < 3; ++i) {
            terms[i] = _randomTerms(address(script), uint256(keccak256(abi.encode(seed, i))));
            terms[i].salt = salt + i;
        }
        _plan(script, terms);
        script.setMood(ScriptedClient.Mood.Reenter);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Opening
    // ------------------------------------------------------------------------------------------------------------

    function open(uint256 by, uint256 seed, bool withValue) external {
        if (deals.length >= _MAX_DEALS) return;
        ILotaMarket.Terms memory terms = _randomTerms(_party(by), seed);
        uint256 value = withValue && !_isToken() ? terms.maxPrice : 0;
        if (value == 0) _ensure(terms.client, terms.maxPrice);
        (bool success,) = _call(terms.client, terms.client, value, abi.encodeCall(ILotaMarket.open, (terms, "")));
        if (!success) return _mustBeSpent(terms);
        expected[terms.client] += value;
        paidIn += value;
        _opened(terms);
    }

    function openSigned(uint256 by, uint256 relayer, uint256 seed) external {
        if (deals.length >= _MAX_DEALS) return;
        ILotaMarket.Terms memory terms = _randomTerms(_party(by), seed);
        _ensure(terms.client, terms.maxPrice);
        bytes memory signature = _sign(terms.client, _jobId(terms));
        (bool success,) =
            _call(_party(relayer), terms.client, 0, abi.encodeCall(ILotaMarket.openSigned, (terms, "", signature)));
        if (!success) return;
        assertTrue(_canSign(terms.client), "I2: opened without a signature");
        _opened(terms);
    }

    function openSignedAndLock(uint256 by, uint256 provider, uint256 seed, bool openBefore) external {
        if (deals.length >= _MAX_DEALS) return;
        ILotaMarket.Terms memory terms = _randomTerms(_party(by), seed);
        address locker = _party(provider);
        bytes memory signature = _sign(terms.client, _jobId(terms));
        _ensure(terms.client, terms.maxPrice);
        if (locker != terms.client) _ensure(locker, terms.collateral);
        bool opened = openBefore && _call(terms.client, abi.encodeCall(ILotaMarket.open, (terms, "")));
        if (opened) _opened(terms);
        uint256 price = MARKET.priceAt(terms, uint64(block.timestamp));
        (bool success,) =
            _call(locker, terms.client, 0, abi.encodeCall(ILotaMarket.openSignedAndLock, (terms, "", signature)));
        if (!success) return;
        assertTrue(opened || _canSign(terms.client), "I2: opened without a signature");
        assertEq(terms.matcher, address(0), "I6: locked past the matcher");
        assertGe(block.timestamp, terms.rampStart, "I6: locked too early");
        _locked(opened ? deals[deals.length - 1] : _opened(terms), locker, price, locker);
    }

    function revoke(uint256 by, uint256 lane, uint256 ahead) external {
        address party = _party(by);
        lane %= 3;
        uint256 upTo = uint64(_next(party, lane)) + ahead % 80;
        upTo = upTo > 5 ? upTo - 5 : 0;
        assertTrue(_call(party, abi.encodeCall(ILotaMarket.revoke, (uint192(lane), uint64(upTo)))), "revoke");
        if (upTo > revokedUpTo[party][lane]) revokedUpTo[party][lane] = upTo;
    }

    // ------------------------------------------------------------------------------------------------------------
    // The life of a deal
    // ------------------------------------------------------------------------------------------------------------

    function lock(uint256 seed, uint256 by) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Open);
        address provider = _party(by);
        _ensure(provider, known.terms.collateral);
        uint256 price = MARKET.priceAt(known.terms, uint64(block.timestamp));
        if (!_call(provider, abi.encodeCall(ILotaMarket.lock, (known.terms)))) return;
        assertEq(known.terms.matcher, address(0), "I6: locked past the matcher");
        assertGe(block.timestamp, known.terms.rampStart, "I6: locked too early");
        _locked(known, provider, price, provider);
    }

    function award(uint256 seed, uint256 to, uint256 price, bool byMatcher) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Open);
        ILotaMarket.Terms memory terms = known.terms;
        address sender = byMatcher && terms.matcher != address(0) ? terms.matcher : _party(seed);
        price = bound(price, terms.minPrice / QUANTUM, terms.maxPrice / QUANTUM) * QUANTUM;
        _ensure(sender, terms.collateral);
        if (!_call(sender, abi.encodeCall(ILotaMarket.award, (terms, _party(to), price)))) return;
        assertEq(sender, terms.matcher, "I6: awarded by another");
        _locked(known, _party(to), price, sender);
    }

    function cancel(uint256 seed, uint256 by, bool rightful) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Open);
        address wanted = known.terms.matcher == address(0) ? known.terms.client : known.terms.matcher;
        address sender = rightful ? wanted : _party(by);
        if (!_call(sender, abi.encodeCall(ILotaMarket.cancel, (known.terms)))) return;
        assertEq(sender, wanted, "I6: cancelled by another");
        assertTrue(known.status == ILotaMarket.Status.Open, "I6: cancelled, but was not open");
        _ended(known, ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn);
    }

    function expire(uint256 seed, uint256 by, bool ofLocked) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ofLocked ? ILotaMarket.Status.Locked : ILotaMarket.Status.Open);
        if (!_call(_party(by), abi.encodeCall(ILotaMarket.expire, (known.terms)))) return;
        _expired(known);
    }

    function submitResult(uint256 seed, uint256 by, ILotaMarket.Result calldata result, bool rightful) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Locked);
        address provider = known.receipt.provider;
        address sender = rightful && provider != address(0) ? provider : _party(by);
        if (!_call(sender, abi.encodeCall(ILotaMarket.submitResult, (known.terms, result)))) return;
        assertEq(sender, provider, "I6: submitted by another");
        assertTrue(known.status == ILotaMarket.Status.Locked, "I6: submitted, but was not locked");
        assertLe(block.timestamp, known.since + known.terms.runFor, "I6: submitted too late");
        assertLe(result.inlineData.length, 1024, "I6: too much inline data");
        known.receipt.result = result;
        if (known.terms.arbiter == address(0)) {
            _ended(known, ILotaMarket.Status.Settled, ILotaMarket.Reason.Unreviewed);
        } else {
            known.status = ILotaMarket.Status.Submitted;
            known.since = block.timestamp;
        }
    }

    function giveUp(uint256 seed, uint256 by, bool rightful) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Locked);
        address provider = known.receipt.provider;
        address sender = rightful && provider != address(0) ? provider : _party(by);
        if (!_call(sender, abi.encodeCall(ILotaMarket.giveUp, (known.terms)))) return;
        assertEq(sender, provider, "I6: given up by another");
        assertTrue(known.status == ILotaMarket.Status.Locked, "I6: given up, but was not locked");
        _ended(known, ILotaMarket.Status.Slashed, ILotaMarket.Reason.NotSubmitted);
    }

    function accept(uint256 seed, uint256 by, bool rightful) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Submitted);
        address sender = rightful ? known.terms.client : _party(by);
        if (!_call(sender, abi.encodeCall(ILotaMarket.accept, (known.terms, known.receipt)))) return;
        assertEq(sender, known.terms.client, "I6: accepted by another");
        assertTrue(known.status == ILotaMarket.Status.Submitted, "I6: accepted, but was not submitted");
        _ended(known, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted);
    }

    function settle(uint256 seed, uint256 by) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Submitted);
        if (!_call(_party(by), abi.encodeCall(ILotaMarket.settle, (known.terms, known.receipt)))) return;
        _settled(known);
    }

    function dispute(uint256 seed, uint256 by, bool rightful) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Submitted);
        address arbiter = known.terms.arbiter;
        address sender = rightful && arbiter != address(0) ? arbiter : _party(by);
        if (!_call(sender, abi.encodeCall(ILotaMarket.dispute, (known.terms)))) return;
        assertEq(sender, arbiter, "I6: disputed by another");
        assertTrue(known.status == ILotaMarket.Status.Submitted, "I6: disputed, but was not submitted");
        assertLe(block.timestamp, known.since + known.terms.reviewFor, "I6: disputed too late");
        known.status = ILotaMarket.Status.Disputed;
        known.since = block.timestamp;
    }

    function rule(uint256 seed, uint256 by, uint256 verdict, bool rightful) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Disputed);
        address arbiter = known.terms.arbiter;
        address sender = rightful && arbiter != address(0) ? arbiter : _party(by);
        ILotaMarket.Verdict chosen = ILotaMarket.Verdict(verdict % 3);
        if (!_call(sender, abi.encodeCall(ILotaMarket.rule, (known.terms, known.receipt, chosen)))) return;
        assertEq(sender, arbiter, "I6: ruled by another");
        assertTrue(known.status == ILotaMarket.Status.Disputed, "I6: ruled, but was not disputed");
        assertLe(block.timestamp, known.since + known.terms.ruleFor, "I6: ruled too late");
        if (chosen == ILotaMarket.Verdict.Upheld) {
            _ended(known, ILotaMarket.Status.Settled, ILotaMarket.Reason.Upheld);
        } else if (chosen == ILotaMarket.Verdict.Overturned) {
            _ended(known, ILotaMarket.Status.Slashed, ILotaMarket.Reason.Overturned);
        } else {
            _ended(known, ILotaMarket.Status.Void, ILotaMarket.Reason.Undecided);
        }
    }

    function lapse(uint256 seed, uint256 by) public {
        if (deals.length == 0) return;
        (, Known storage known) = _pickIn(seed, ILotaMarket.Status.Disputed);
        if (!_call(_party(by), abi.encodeCall(ILotaMarket.lapse, (known.terms, known.receipt)))) return;
        _lapsed(known);
    }

    function retryCallback(uint256 seed, uint256 by) external {
        if (deals.length == 0) return;
        Known storage known = _pick(seed);
        for (uint256 i = 0; i < deals.length; ++i) {
            known = deals[(seed % deals.length + i) % deals.length];
            if (MARKET.dealOf(known.jobId).callbackPending) break;
        }
        bool pending = MARKET.dealOf(known.jobId).callbackPending;
        bool success = _call(_party(by), abi.encodeCall(ILotaMarket.retryCallback, (known.terms, known.receipt)));
        bool still = MARKET.dealOf(known.jobId).callbackPending;
        if (!success) {
            assertEq(still, pending, "I4: a retry that failed changed something");
            return;
        }
        assertTrue(pending, "I4: a callback was retried that was not pending");
        assertTrue(_isFinal(known.status), "I6: called back before the end");
        assertFalse(still, "I4: delivered, but pending");
    }

    /// @dev A few deals take their next step, by who may take it and when it may be taken; or time runs out for it.
    function advance(uint256 seed, ILotaMarket.Result calldata result) external {
        if (deals.length == 0) return;
        for (uint256 step = 0; step < 4; ++step) {
            uint256 random = uint256(keccak256(abi.encode(seed, step)));
            uint256 index = random % deals.length;
            uint256 choice = (random >> 64) % 5;
            Known storage known = deals[index];
            ILotaMarket.Terms memory terms = known.terms;
            if (known.status == ILotaMarket.Status.Open) {
                if (block.timestamp < terms.rampStart && terms.rampStart <= terms.lockBy) vm.warp(terms.rampStart);
                if (choice == 0) cancel(index, 0, true);
                else if (terms.matcher == address(0)) lock(index, random >> 128);
                else award(index, random >> 128, random >> 64, true);
            } else if (known.status == ILotaMarket.Status.Locked) {
                if (choice == 0) _pass(known.since + terms.runFor);
                if (choice == 0) expire(index, random >> 128, true);
                else submitResult(index, 0, result, true);
            } else if (known.status == ILotaMarket.Status.Submitted) {
                if (choice == 0) _pass(known.since + terms.reviewFor);
                if (choice == 0) settle(index, random >> 128);
                else if (choice == 1) accept(index, 0, true);
                else dispute(index, 0, true);
            } else if (known.status == ILotaMarket.Status.Disputed) {
                if (choice == 0) _pass(known.since + terms.ruleFor);
                if (choice == 0) lapse(index, random >> 128);
                else rule(index, 0, choice, true);
            }
        }
    }

    /// @dev Any command on any deal by anybody: hardly one succeeds, and none may on a final deal.
    function meddle(uint256 seed, uint256 by, uint256 command, ILotaMarket.Receipt calldata lies) external {
        if (deals.length == 0) return;
        Known storage known = _pick(seed);
        ILotaMarket.Terms memory terms = known.terms;
        ILotaMarket.Receipt memory receipt = lies;
        if (command % 2 == 0) receipt = known.receipt;
        bytes memory data;
        uint256 kind = (command >> 8) % 8;
        if (kind == 0) data = abi.encodeCall(ILotaMarket.accept, (terms, receipt));
        else if (kind == 1) data = abi.encodeCall(ILotaMarket.settle, (terms, receipt));
        else if (kind == 2) data = abi.encodeCall(ILotaMarket.rule, (terms, receipt, ILotaMarket.Verdict.Overturned));
        else if (kind == 3) data = abi.encodeCall(ILotaMarket.lapse, (terms, receipt));
        else if (kind == 4) data = abi.encodeCall(ILotaMarket.submitResult, (terms, lies.result));
        else if (kind == 5) data = abi.encodeCall(ILotaMarket.expire, (terms));
        else if (kind == 6) data = abi.encodeCall(ILotaMarket.open, (terms, ""));
        else data = abi.encodeCall(ILotaMarket.openSigned, (terms, "", _sign(terms.client, known.jobId)));
        ILotaMarket.Deal memory before = MARKET.dealOf(known.jobId);
        vm.prank(_party(by));
        uint256 snapshot = vm.snapshotState();
        (bool success,) = address(MARKET).call(data);
        ILotaMarket.Deal memory behind = MARKET.dealOf(known.jobId);
        if (_isFinal(known.status)) {
            assertFalse(success, "I4: a final deal took a command");
            assertEq(abi.encode(before), abi.encode(behind), "I4: a final deal changed");
        }
        if (kind >= 6) assertFalse(success, "I4: opened twice");
        bool onward = behind.status > before.status || behind.status == ILotaMarket.Status.None;
        if (success) assertTrue(onward, "I6: a deal went back");
        vm.revertToState(snapshot); // the ledger is not asked to follow lies
    }

    // ------------------------------------------------------------------------------------------------------------
    // Many at once
    // ------------------------------------------------------------------------------------------------------------

    function settleBatch(uint256 by, uint256 relayer, uint256 seed, bool replay) external {
        ILotaMarket.BatchEntry[] memory entries = new ILotaMarket.BatchEntry[](2 + seed % 3);
        bool[] memory wanted = new bool[](entries.length);
        address client = _canSign(_party(by)) ? _party(by) : keys[seed % 4].addr;
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            ILotaMarket.Terms memory terms = _randomTerms(client, random);
            // Spent salts are put in on purpose.
            if (i > 0 && !replay) terms.salt = entries[i - 1].terms.salt + 1;
            if (replay && random % 3 == 0) terms.salt = (random >> 8) % (uint64(_next(client, 0)) + 1);
            (terms.callbackGas, terms.keepRecord) = (0, false);
            ILotaMarket.Receipt memory receipt;
            receipt.provider = _party(random >> 16);
            receipt.price = terms.minPrice;
            receipt.result.output = bytes32(random);
            bytes32 digest = Eip712.digest(
                Eip712.domain(address(MARKET), block.chainid),
                Eip712.acceptance(_jobId(terms), receipt, uint64(block.timestamp))
            );
            bool honest = random % 5 != 0;
            bytes memory signature = honest ? _sign(client, digest) : new bytes(64);
            entries[i] = ILotaMarket.BatchEntry(terms, receipt, uint64(block.timestamp), signature);
            wanted[i] = honest;
            if (honest && client == address(wallet)) {
                for (uint256 j = 0; j < i; ++j) {
                    wanted[j] = false; // it nods at the last digest only
                }
            }
            if (_isSpent(client, terms.salt)) wanted[i] = false;
            for (uint256 j = 0; j < i; ++j) {
                if (wanted[j] && entries[j].terms.salt == terms.salt) wanted[i] = false;
            }
        }
        uint256 needed = 0;
        for (uint256 i = 0; i < entries.length; ++i) {
            if (wanted[i]) needed += entries[i].receipt.price;
        }
        _ensure(client, needed);
        (bool success,) = _call(_party(relayer), client, 0, abi.encodeCall(ILotaMarket.settleBatch, (entries)));
        assertTrue(success, "a batch reverts for no entry");
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 salt = entries[i].terms.salt;
            uint256 price = entries[i].receipt.price;
            if (!wanted[i]) continue;
            if (!MARKET.isSpent(client, salt)) {
                assertGe(salt, _next(client, salt >> 64) + 64, "an entry that could be settled was not");
                continue;
            }
            assertEq(++used[client][salt], 1, "I4: a salt was used twice");
            expected[client] -= price;
            expected[entries[i].receipt.provider] += price;
        }
    }

    /// @dev Open, cancel and open again with one salt: the last must fail, and all with it.
    function multicall(uint256 by, uint256 seed, bool again) external {
        ILotaMarket.Terms memory terms = _randomTerms(_party(by), seed);
        terms.matcher = address(0);
        _ensure(terms.client, terms.maxPrice);
        bytes[] memory calls = new bytes[](again ? 3 : 2);
        calls[0] = abi.encodeCall(ILotaMarket.open, (terms, ""));
        calls[1] = abi.encodeCall(ILotaMarket.cancel, (terms));
        if (again) calls[2] = calls[0];
        bool success = _call(terms.client, abi.encodeCall(ILotaMarket.multicall, (calls)));
        if (again) assertFalse(success, "I4: a salt was used twice in one transaction");
        if (!success) return;
        if (deals.length >= _MAX_DEALS) {
            ++used[terms.client][terms.salt];
            return;
        }
        _ended(_opened(terms), ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn);
    }

    // ------------------------------------------------------------------------------------------------------------
    // The end: time and a stranger (I3)
    // ------------------------------------------------------------------------------------------------------------

    /// @param gasLimit of a block
    function finish(address stranger, uint256 gasLimit) external {
        for (uint256 i = 0; i < deals.length; ++i) {
            Known storage known = deals[i];
            if (_isFinal(known.status)) continue;
            ILotaMarket.Status status = known.status;
            bytes memory data = abi.encodeCall(ILotaMarket.expire, (known.terms));
            uint256 deadline = known.terms.lockBy;
            if (status == ILotaMarket.Status.Locked) deadline = known.since + known.terms.runFor;
            if (status == ILotaMarket.Status.Submitted) {
                deadline = known.since + known.terms.reviewFor;
                data = abi.encodeCall(ILotaMarket.settle, (known.terms, known.receipt));
            }
            if (status == ILotaMarket.Status.Disputed) {
                deadline = known.since + known.terms.ruleFor;
                data = abi.encodeCall(ILotaMarket.lapse, (known.terms, known.receipt));
            }
            if (block.timestamp <= deadline) vm.warp(deadline + 1);
            vm.prank(stranger);
            (bool success,) = address(MARKET).call{gas: gasLimit}(data);
            assertTrue(success, "I3: a deal cannot be ended");
            _adopt(address(hostile));
            _adopt(address(hostileToo));
            if (status == ILotaMarket.Status.Submitted) _settled(known);
            else if (status == ILotaMarket.Status.Disputed) _lapsed(known);
            else _expired(known);
        }
        for (uint256 i = 0; i < parties.length; ++i) {
            uint256 balance = expected[parties[i]];
            assertTrue(_call(parties[i], abi.encodeCall(ILotaMarket.withdraw, (address(0xbeef), balance))), "I3");
            expected[parties[i]] = 0;
            paidOut += balance;
        }
    }

    // ------------------------------------------------------------------------------------------------------------

    function _pass(uint256 deadline) private {
        if (block.timestamp <= deadline) vm.warp(deadline + 1);
    }

    function _expired(Known storage known) private {
        if (known.status == ILotaMarket.Status.Open) {
            assertGt(block.timestamp, known.terms.lockBy, "I6: expired too early");
            _ended(known, ILotaMarket.Status.Cancelled, ILotaMarket.Reason.NotLocked);
        } else {
            assertTrue(known.status == ILotaMarket.Status.Locked, "I6: expired in another state");
            assertGt(block.timestamp, known.since + known.terms.runFor, "I6: expired too early");
            _ended(known, ILotaMarket.Status.Slashed, ILotaMarket.Reason.NotSubmitted);
        }
    }

    function _settled(Known storage known) private {
        assertTrue(known.status == ILotaMarket.Status.Submitted, "I6: settled, but was not submitted");
        assertGt(block.timestamp, known.since + known.terms.reviewFor, "I6: settled too early");
        _ended(known, ILotaMarket.Status.Settled, ILotaMarket.Reason.Unchallenged);
    }

    function _lapsed(Known storage known) private {
        assertTrue(known.status == ILotaMarket.Status.Disputed, "I6: lapsed, but was not disputed");
        assertGt(block.timestamp, known.since + known.terms.ruleFor, "I6: lapsed too early");
        _ended(known, ILotaMarket.Status.Void, ILotaMarket.Reason.NotRuled);
    }

    /// @dev Valid terms with enough money fail to open for one reason only.
    function _mustBeSpent(ILotaMarket.Terms memory terms) private {
        if (_isSpent(terms.client, terms.salt)) return;
        assertGe(terms.salt, _next(terms.client, terms.salt >> 64) + 64, "good terms could not be opened");
    }

    /// @dev Valid terms, each amount and window at its least, at its most or between. Salts count up in three lanes,
    /// and now and then one is used again or taken from further on.
    function _randomTerms(address by, uint256 seed) private returns (ILotaMarket.Terms memory t) {
        uint256 lane = seed % 8 < 6 ? 0 : seed % 8 - 5;
        uint256 salt = _next(by, lane);
        if (seed % 16 == 0) salt += (seed >> 8) % 70; // in the window, or beyond it
        if (seed % 16 == 1) salt = (lane << 64) | (seed >> 8) % (uint64(salt) + 1); // spent, perhaps
        t.client = by;
        t.salt = salt;
        t.spec = bytes32(seed);
        t.specCodec = seed % 2 == 0 ? 0x71 : 0x55;
        t.maxPrice = _between(seed, 1, 0, MAX_AMOUNT / QUANTUM) * QUANTUM;
        t.minPrice = _between(seed, 2, 0, t.maxPrice / QUANTUM) * QUANTUM;
        t.collateral = _between(seed, 3, 0, MAX_AMOUNT / QUANTUM) * QUANTUM;
        t.lockBy = uint64(block.timestamp + _between(seed, 4, 0, 3 days));
        t.rampStart = uint64(_between(seed, 5, block.timestamp - 1 hours, t.lockBy));
        t.rampPeriod = uint64(_between(seed, 6, 1, 1 days));
        t.runFor = uint32(_between(seed, 7, 60, 90 days));
        t.reviewFor = uint32(_between(seed, 8, 60, 90 days));
        t.ruleFor = uint32(_between(seed, 9, 60, 90 days));
        uint256 roles = uint256(keccak256(abi.encode(seed, "roles")));
        if (roles % 4 == 0) t.matcher = _party(roles >> 8);
        if (roles % 5 != 0) t.arbiter = _party(roles >> 16);
        else (t.reviewFor, t.ruleFor) = (0, 0);
        if (roles % 3 != 0) t.callbackGas = uint32(_between(seed, 10, 1, MAX_CALLBACK_GAS));
        if (t.callbackGas == 2300) t.callbackGas = 0;
        t.keepRecord = roles % 7 < 2;
    }

    function _between(uint256 seed, uint256 index, uint256 low, uint256 high) private pure returns (uint256) {
        uint256 random = uint256(keccak256(abi.encode(seed, index)));
        if (random % 8 == 0) return low;
        if (random % 8 == 1) return high;
        return low + (random >> 8) % (high - low + 1);
    }
}
