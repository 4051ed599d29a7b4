// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IPdpListener} from "../interfaces/IPossessionRecord.sol";

/// @title TestWarmStorage: stands in for FilecoinWarmStorageService and its state view (FilOzone/filecoin-services at a16aea4) on
/// development chains, as far as proofs go
/// @notice The listener of data sets whose creation names a payer. No money: whoever is named pays nothing.
contract TestWarmStorage is IPdpListener {
    address public immutable pdpVerifierAddress;
    uint64 public immutable PERIOD;
    uint64 public immutable WINDOW;
    uint64 public constant CHALLENGES_PER_PROOF = 5;

    mapping(address payer => uint256[]) private _dataSetsOf;
    mapping(uint256 dataSetId => uint256) public provingDeadline;
    mapping(uint256 dataSetId => bool) public provenThisPeriod;

    constructor(address verifier, uint64 period, uint64 window) {
        (pdpVerifierAddress, PERIOD, WINDOW) = (verifier, period, window);
    }

    modifier onlyVerifier() {
        require(msg.sender == pdpVerifierAddress, "OnlyPDPVerifierAllowed");
        _;
    }

    /// @notice The state view: here the same contract.
    function viewContractAddress() external view returns (address) {
        return address(this);
    }

    function dataSetCreated(uint256 dataSetId, address, bytes calldata extraData) external onlyVerifier {
        _dataSetsOf[abi.decode(extraData, (address))].push(dataSetId);
    }

    function dataSetDeleted(uint256 dataSetId, uint256, bytes calldata extraData) external onlyVerifier {
        delete provingDeadline[dataSetId];
        delete provenThisPeriod[dataSetId];
        uint256[] storage list = _dataSetsOf[abi.decode(extraData, (address))];
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == dataSetId) {
                list[i] = list[list.length - 1];
                list.pop();
                return;
            }
        }
    }

    function piecesAdded(uint256, uint256, Cid[] calldata, bytes calldata) external onlyVerifier {}

    function piecesScheduledRemove(uint256, uint256[] calldata, bytes calldata) external onlyVerifier {}

    function storageProviderChanged(uint256, address, address, bytes calldata) external onlyVerifier {}

    function possessionProven(uint256 dataSetId, uint256, uint256, uint256 challengeCount) external onlyVerifier {
        require(!provenThisPeriod[dataSetId], "ProofAlreadySubmitted");
        require(challengeCount >= CHALLENGES_PER_PROOF, "InvalidChallengeCount");
        require(provingDeadline[dataSetId] != 0, "ProvingNotStarted");
        require(block.number <= provingDeadline[dataSetId], "ProvingPeriodPassed");
        require(block.number >= provingDeadline[dataSetId] - WINDOW, "ChallengeWindowTooEarly");
        provenThisPeriod[dataSetId] = true;
    }

    function nextProvingPeriod(uint256 dataSetId, uint256 challengeEpoch, uint256, bytes calldata)
        external
        onlyVerifier
    {
        uint256 deadline = provingDeadline[dataSetId];
        uint256 next = deadline == 0 ? block.number + PERIOD : deadline + PERIOD;
        if (deadline != 0) {
            require(block.number > deadline - PERIOD, "NextProvingPeriodAlreadyCalled");
            while (next < block.number) next += PERIOD;
        }
        if (challengeEpoch == 0) next = 0;
        else require(challengeEpoch >= next - WINDOW && challengeEpoch <= next, "InvalidChallengeEpoch");
        (provingDeadline[dataSetId], provenThisPeriod[dataSetId]) = (next, false);
    }

    function getClientDataSetsLength(address payer) external view returns (uint256) {
        return _dataSetsOf[payer].length;
    }

    function clientDataSets(address payer, uint256 offset, uint256 limit)
        external
        view
        returns (uint256[] memory found)
    {
        uint256[] storage all = _dataSetsOf[payer];
        uint256 rest = offset < all.length ? all.length - offset : 0;
        found = new uint256[](limit < rest ? limit : rest);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = all[offset + i];
        }
    }

    function getPDPConfig() external view returns (uint64, uint256, uint256, uint256) {
        return (PERIOD, WINDOW, CHALLENGES_PER_PROOF, block.number + PERIOD - WINDOW);
    }
}
