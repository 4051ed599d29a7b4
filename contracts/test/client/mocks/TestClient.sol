// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../../../src/LotaClient.sol";

/// @title TestClient: a LotaClient whose insides anybody can reach, and whose hooks do as they are told
contract TestClient is LotaClient {
    struct Told {
        bytes32 jobId;
        address payer;
        bytes32 output;
        bytes printed;
        ILotaMarket.Reason reason;
        uint256 refund;
    }

    Told public told; // by the latest hook
    uint256 public results;
    uint256 public failures;
    bool public reverting;
    bytes[] public attempts; // calls of this contract that the hook makes
    bytes4[] public answers;

    error Unwilling();

    constructor(ILotaMarket market, uint32 callbackGas) LotaClient(market, callbackGas) {}

    function setReverting(bool to) external {
        reverting = to;
    }

    function setAttempt(bytes calldata to) external {
        attempts.push(to);
    }

    function terms(uint256 price) external view returns (ILotaMarket.Terms memory) {
        return _terms(price);
    }

    function openJob(ILotaMarket.Terms calldata with, bytes calldata spec, address payer, uint256 value)
        external
        payable
        returns (bytes32)
    {
        return _openJob(with, spec, payer, value);
    }

    function collect(uint256 amount) external payable {
        _collect(amount);
    }

    function credit(address account, uint256 amount) external {
        _credit(account, amount);
    }

    function payOut(address to, uint256 amount) external {
        _payOut(to, amount);
    }

    function cancel(ILotaMarket.Terms calldata with) external {
        MARKET.cancel(with);
    }

    function accept(ILotaMarket.Terms calldata with, ILotaMarket.Receipt calldata receipt) external {
        MARKET.accept(with, receipt);
    }

    function _onResult(bytes32 jobId, address payer, ILotaMarket.Result calldata result) internal override {
        ++results;
        told = Told(jobId, payer, result.output, result.inlineData, ILotaMarket.Reason.None, 0);
        _react();
    }

    function _onFailure(bytes32 jobId, address payer, ILotaMarket.Reason reason, uint256 refund) internal override {
        ++failures;
        told = Told(jobId, payer, 0, "", reason, refund);
        _react();
    }

    function _react() private {
        if (reverting) revert Unwilling();
        for (uint256 i = 0; i < attempts.length; ++i) {
            (bool success, bytes memory why) = address(this).call(attempts[i]);
            answers.push(success ? bytes4(0) : bytes4(why));
        }
    }
}

/// @title GreedyPayee: asks for a job, and fetches its refund again while it is being paid
contract GreedyPayee {
    TestClient public immutable CLIENT;
    bytes4 public answer;

    constructor(TestClient client) {
        CLIENT = client;
    }

    function open(ILotaMarket.Terms calldata terms) external payable {
        CLIENT.openJob{value: msg.value}(terms, "{}", address(this), msg.value);
    }

    function fetch() external {
        CLIENT.withdraw();
    }

    receive() external payable {
        try CLIENT.withdraw() {}
        catch (bytes memory why) {
            answer = bytes4(why);
        }
    }
}

/// @title OddToken: an ERC-20 of an older or a worse kind
contract OddToken {
    enum Kind {
        ReturnsNothing,
        ReturnsFalse,
        TakesAFee
    }

    Kind public immutable KIND;
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    constructor(Kind kind) {
        KIND = kind;
    }

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
    }

    function approve(address spender, uint256 value) external {
        // As the largest dollar token: an allowance that is there cannot be changed but to nothing.
        require(value == 0 || allowance[msg.sender][spender] == 0, "approve");
        allowance[msg.sender][spender] = value;
    }

    function transfer(address to, uint256 value) external {
        _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        allowance[from][msg.sender] -= value;
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private {
        if (KIND == Kind.ReturnsFalse) {
            assembly {
                mstore(0, 0)
                return(0, 32)
            }
        }
        balanceOf[from] -= value;
        balanceOf[to] += KIND == Kind.TakesAFee ? value - value / 100 : value;
    }
}
