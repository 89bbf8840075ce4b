// The tests don't use the key chain.
module.exports = {};
