-- What could not be kept comes in any size and seldom compresses well: its raw bytes are stored as they are, for compressing
-- them would cost the good messages behind them more than the disk is worth.
alter table quarantine alter column payload set storage external;
