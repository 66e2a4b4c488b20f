// SPDX-License-Identifier: MIT
pragma solidity ^0.8.37;

/// A token as small as the tests of wallets need one: state, events, and every way to fail.
contract Token {
    string public constant name = "Rushlight";
    string public constant symbol = "RUSH";
    uint8 public constant decimals = 18;

    uint256 public totalSupply; // slot 0
    mapping(address => uint256) public balanceOf; // slot 1
    mapping(address => mapping(address => uint256)) public allowance; // slot 2

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance(address owner, uint256 held, uint256 wanted);

    constructor(uint256 supply) {
        totalSupply = supply;
        balanceOf[msg.sender] = supply;
        emit Transfer(address(0), msg.sender, supply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        require(to != address(0), "transfer to nobody");
        if (balanceOf[msg.sender] < value) revert InsufficientBalance(msg.sender, balanceOf[msg.sender], value);
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value; // panics with 0x11 where it is less
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
        return true;
    }

    /// Nothing but itself: what an account delegated to this code answers from its own storage.
    function supplyOf() external view returns (address, uint256) {
        return (address(this), totalSupply);
    }

    receive() external payable {}
}
