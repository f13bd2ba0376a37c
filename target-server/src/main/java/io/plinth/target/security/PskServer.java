package io.plinth.target.security;
